import { decideRequest, type Outcome } from '../mesh/decide-request.ts';
import { isForged } from '../mesh/identity.ts';
import { PassingAnswers } from '../mesh/passage.ts';
import { isVerifyPath, VerifySettings } from '../mesh/verify-settings.ts';
import { EndOfTurn } from '../platform/end-of-turn.ts';
import { Failure } from '../platform/failure.ts';
import { Networks } from '../platform/networks.ts';
import type { Call } from '../rpc/call.ts';
import type { NodeRequest, NodeResponse } from '../rpc/connect/node-request.ts';
import { answerOnce } from '../rpc/door/answer-once.ts';
import { toConnectError } from '../rpc/errors.ts';
import { headerText } from '../rpc/headers.ts';
import { authenticate, type Verifiers } from '../rpc/interceptors/authentication.ts';
import { logCall } from '../rpc/interceptors/logging.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import type { Serving } from '../rpc/serving.ts';
import { holdOf } from '../rpc/stream-holds.ts';
import { type Answer, allowed, denied, failure } from './verify-answers.ts';

const NAME = 'verify';
const PERMISSION = 'tokens.introspect';

type Parts = {
  deps: Dependencies;
  serving: Pick<Serving, 'calls' | 'log'>;
  verifiers: Verifiers;
  trustedCallers: readonly string[];
};

/**
 * Judges requests for proxies that ask by HTTP before they pass a request on (forward-auth, auth_request,
 * Envoy's HTTP service): 200 with whom the request speaks for, or the refusal for the client. Any method
 * will do, and no body is waited for. The returned function returns whether the request is one of these.
 */
export function verifyEndpoint(parts: Parts): (req: NodeRequest, res: NodeResponse) => boolean {
  const endpoint = new VerifyEndpoint(parts);
  return (req, res) => {
    if (!isVerifyPath(req.url ?? '')) return false;
    void endpoint.answer(req, res);
    return true;
  };
}

/** The headers that decide, all values of each, as the proxy sent them. */
type Raw = {
  authorization: string[];
  apiKeys: string[];
  callers: string[];
  uris: string[];
  forged: string[];
};

class VerifyEndpoint {
  readonly #parts: Parts;
  readonly #trusted: Networks;
  readonly #settings = new VerifySettings();
  readonly #endOfTurn = new EndOfTurn();
  readonly #answers: PassingAnswers<Answer>;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#answers = new PassingAnswers(parts.deps.caches.answers, allowed);
    this.#trusted = new Networks(parts.trustedCallers);
  }

  async answer(req: NodeRequest, res: NodeResponse): Promise<void> {
    const { calls, log } = this.#parts.serving;
    const { headers } = req;
    const hold = holdOf('stream' in req ? req.stream : req);
    const peer = hold?.peer ?? req.socket.remoteAddress;
    const call = calls.begin((name) => headerText(headers[name]), peer, 'http');
    call.hold = hold;
    call.asksForOthers = true;
    const failed = (error: unknown) => {
      logCall(log, call, NAME, toConnectError(error, call.requestId));
      return failure(error);
    };
    const answer = await this.#answerTo(req, call).catch(failed);
    // Answers that are written one after another wake a proxy once, which costs more than a decision.
    this.#endOfTurn.do(() => {
      try {
        send(res, call, answer);
      } catch (error) {
        send(res, call, failed(error));
      }
      hold?.answered();
    });
  }

  async #answerTo(req: NodeRequest, call: Call): Promise<Answer> {
    const answer = await this.#judge(req, call);
    logCall(this.#parts.serving.log, call, NAME, undefined);
    return answer;
  }

  /** A known token of a trusted proxy is judged without a promise. */
  #judge(req: NodeRequest, call: Call): Answer | Promise<Answer> {
    const raw = rawHeaders(req);
    const admitted = this.#admit(call, raw.callers);
    return admitted
      ? admitted.then(() => this.#decide(req, call, raw))
      : this.#decide(req, call, raw);
  }

  #decide(req: NodeRequest, call: Call, raw: Raw): Answer | Promise<Answer> {
    const { ipAddress, addressIsCertain, countedAs, requestId } = call;
    const answer = (outcome: Outcome) =>
      outcome.allowed ? this.#answers.answer(outcome, raw.forged) : denied(outcome);
    const outcome = decideRequest(this.#parts.deps, {
      ipAddress,
      addressIsCertain,
      countedAs,
      requestId,
      authorization: raw.authorization,
      apiKeys: raw.apiKeys,
      forged: raw.forged,
      settings: this.#settings.read(req.url ?? '', raw.uris),
    });
    return outcome instanceof Promise ? outcome.then(answer) : answer(outcome);
  }

  /** Throws unless the proxy may ask: by its own credential, or by the address of its connection. */
  #admit(call: Call, callers: readonly string[]): Promise<void> | undefined {
    const [credential, another] = callers;
    if (another !== undefined) throw mayNotAsk();
    if (credential === undefined) {
      if (!this.#trusted.includes(call.peerAddress)) throw mayNotAsk();
      call.hold?.know('');
      return undefined;
    }
    return this.#authenticate(call, credential);
  }

  async #authenticate(call: Call, credential: string): Promise<void> {
    const { peerAddress: ipAddress } = call;
    const own = { ...call, ipAddress, addressIsCertain: true, countedAs: ipAddress };
    call.principal = await authenticate(this.#parts.verifiers, own, credential);
    this.#parts.deps.scopeUse.noteRequired(call.principal, [PERMISSION]);
    if (!call.principal.permissions.includes(PERMISSION)) throw mayNotAsk();
    call.hold?.know(call.principal.subject);
  }
}

/** What proxies call the URL of the client's request. */
const CLIENT_URIS: ReadonlySet<string> = new Set([
  'x-forwarded-uri',
  'x-original-uri',
  'x-original-url',
  'x-envoy-original-path',
]);

function rawHeaders({ rawHeaders: fields }: NodeRequest): Raw {
  const raw: Raw = { authorization: [], apiKeys: [], callers: [], uris: [], forged: [] };
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    const value = fields[i + 1] ?? '';
    if (name === 'authorization') raw.authorization.push(value);
    else if (name === 'x-api-key') raw.apiKeys.push(value);
    else if (name === 'x-countersign-caller') raw.callers.push(value);
    else if (CLIENT_URIS.has(name)) raw.uris.push(value);
    else if (isForged(name)) raw.forged.push(name);
  }
  return raw;
}

function mayNotAsk(): Failure {
  return new Failure(
    'denied',
    'PERMISSION_DENIED',
    `the caller may not ask for others; it needs ${PERMISSION} by x-countersign-caller, or an address in COUNTERSIGN_TRUSTED_CALLERS`,
  );
}

function send(res: NodeResponse, call: Call, { status, fields, body }: Answer): void {
  const own = { ...fields, 'cache-control': 'no-store', 'x-request-id': call.requestId };
  answerOnce(res, { status, fields: own, body });
}
