import type { OutgoingHttpHeaders } from 'node:http';
import type { LRUCache } from 'lru-cache';
import { decideRequest, type Outcome } from '../mesh/decide-request.ts';
import { denialAnswer } from '../mesh/denial-answer.ts';
import { CREDENTIAL_HEADERS, identityOf, isForged, NOBODY } from '../mesh/identity.ts';
import type { Denial } from '../mesh/judge-request.ts';
import { isVerifyPath, VerifySettings } from '../mesh/verify-settings.ts';
import { Failure } from '../platform/failure.ts';
import { lruCache } from '../platform/lru-cache.ts';
import { Networks } from '../platform/networks.ts';
import type { Call } from '../rpc/call.ts';
import type { NodeRequest, NodeResponse } from '../rpc/connect/node-request.ts';
import { answerOnce } from '../rpc/door/answer-once.ts';
import { toConnectError } from '../rpc/errors.ts';
import { headerText } from '../rpc/headers.ts';
import { authenticate, isRefusal, type Verifiers } from '../rpc/interceptors/authentication.ts';
import { logCall } from '../rpc/interceptors/logging.ts';
import type { Dependencies } from '../rpc/services/dependencies.ts';
import type { Serving } from '../rpc/serving.ts';
import { holdOf } from '../rpc/stream-holds.ts';
import type { Principal } from '../sessions/principal.ts';

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
  readonly #answers: AllowedAnswers;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#answers = new AllowedAnswers(parts.deps.caches.answers);
    this.#trusted = new Networks(parts.trustedCallers);
  }

  async answer(req: NodeRequest, res: NodeResponse): Promise<void> {
    const { calls, log } = this.#parts.serving;
    const { headers } = req;
    const hold = holdOf('stream' in req ? req.stream : req);
    const peer = hold?.peer ?? req.socket.remoteAddress;
    const call = calls.begin((name) => headerText(headers[name]), peer);
    call.hold = hold;
    call.asksForOthers = true;
    try {
      const answer = await this.#judge(req, call);
      logCall(log, call, NAME, undefined);
      send(res, call, answer);
    } catch (error) {
      logCall(log, call, NAME, toConnectError(error, call.requestId));
      send(res, call, failure(error));
    } finally {
      hold?.answered();
    }
  }

  /** For most requests it needs no promise: each takes as long as a tenth of the decision. */
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

type Answer = { status: number; fields: Readonly<OutgoingHttpHeaders>; body: string };
type Allowed = { principal: Principal | undefined; token: string };

/** The answers for requests that may pass, each made once for its principal. */
class AllowedAnswers {
  readonly #kept: LRUCache<Principal, { token: string; answer: Answer }>;

  constructor(max: number) {
    this.#kept = lruCache(max);
  }

  /** `forged` names headers of the client's that read like ours. */
  answer({ principal, token }: Allowed, forged: readonly string[]): Answer {
    if (!principal || forged.length > 0) return allowed(principal, token, forged);
    const known = this.#kept.get(principal);
    if (known?.token === token) return known.answer;
    const answer = allowed(principal, token, forged);
    this.#kept.set(principal, { token, answer });
    return answer;
  }
}

function allowed(
  principal: Principal | undefined,
  token: string,
  forged: readonly string[],
): Answer {
  const fields: OutgoingHttpHeaders = { ...(principal ? identityOf(principal) : NOBODY) };
  if (token !== '') fields['authorization'] = `Bearer ${token}`;
  // Envoy removes these from the request after it has set others; the rest of the proxies don't read it.
  fields[REMOVED] = [
    ...CREDENTIAL_HEADERS.filter((name) => token === '' || name !== 'authorization'),
    'x-countersign-caller',
    ...forged,
  ].join(',');
  return { status: 200, fields, body: '' };
}

const REMOVED = 'x-envoy-auth-headers-to-remove';

function denied(denial: Denial): Answer {
  const { status, headers, body } = denialAnswer(denial);
  return { status, fields: { ...headers }, body: `${body}\n` };
}

/** Our failure is never taken for a bad credential (M02): 503. A caller who may not ask gets 403. */
function failure(error: unknown): Answer {
  const isRefused = isRefusal(error);
  return {
    status: isRefused ? 403 : 503,
    fields: {
      'content-type': 'text/plain; charset=us-ascii',
      ...(isRefused ? {} : { 'retry-after': '1' }),
    },
    body: isRefused
      ? 'this proxy may not ask whether requests may pass\n'
      : 'whether the request may pass cannot be told right now; try again in a moment\n',
  };
}

function send(res: NodeResponse, call: Call, { status, fields, body }: Answer): void {
  const own = { ...fields, 'cache-control': 'no-store', 'x-request-id': call.requestId };
  answerOnce(res, { status, fields: own, body });
}
