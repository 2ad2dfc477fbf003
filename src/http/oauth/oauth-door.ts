import type { OutgoingHttpHeaders } from 'node:http';
import type { Caller } from '../../platform/caller.ts';
import { EndOfTurn } from '../../platform/end-of-turn.ts';
import type { Failure } from '../../platform/failure.ts';
import { errorFields } from '../../platform/log.ts';
import { type Call, callerOf, contextOf } from '../../rpc/call.ts';
import type { NodeRequest, NodeResponse } from '../../rpc/connect/node-request.ts';
import { answerOnce } from '../../rpc/door/answer-once.ts';
import { WholeBodies } from '../../rpc/door/whole-body.ts';
import { toConnectError } from '../../rpc/errors.ts';
import { headerText } from '../../rpc/headers.ts';
import { logCall } from '../../rpc/interceptors/logging.ts';
import { rateHeaders } from '../../rpc/rate-headers.ts';
import type { Serving } from '../../rpc/serving.ts';
import { holdOf } from '../../rpc/stream-holds.ts';
import { hostGuard } from '../origin-guard.ts';
import { type Form, readForm } from './form.ts';
import { failureOf, invalidRequest, toldOf } from './oauth-error.ts';

/** A whole form (bytes): the longest access token twice. */
const MAX_FORM_BYTES = 8 * 1024;

/** A request to an endpoint, read. */
export type Asked = {
  call: Call;
  form: Form;
  /** The `accept` header. */
  accept: string;
  /** Who asks, for use cases. */
  caller: () => Caller;
};

export type Answer = { type?: string; body: string };
export type OAuthEndpoint = (asked: Asked) => Answer | Promise<Answer>;

type Parts = {
  serving: Pick<Serving, 'calls' | 'log' | 'limits'>;
  allowedHosts: readonly string[];
};

/** What the paths of the service's own endpoints begin with. */
const OWN = '/oauth2/';

/**
 * Serves the OAuth endpoints: POST with a form of up to 8 KiB, answered in JSON. Nothing is read from the
 * query, where proxies would log it, no answer may be kept, and no page of another origin gets one. All
 * their paths begin with `prefix`. The returned function returns whether the request is one of these.
 */
export function oauthDoor(
  endpoints: ReadonlyMap<string, OAuthEndpoint>,
  parts: Parts,
  prefix = OWN,
): (req: NodeRequest, res: NodeResponse) => boolean {
  const { bodyTimeoutMs } = parts.serving.limits;
  const shared = {
    ...parts.serving,
    endOfTurn: new EndOfTurn(),
    bodies: new WholeBodies({ maxMessageBytes: MAX_FORM_BYTES, bodyTimeoutMs }),
  };
  const isOtherHost = hostGuard(parts);
  return (req, res) => {
    const { url = '' } = req;
    if (!url.startsWith(prefix)) return false;
    const [path = ''] = url.split('?', 1);
    const endpoint = endpoints.get(path);
    if (!endpoint) return false;
    if (!isOtherHost(req, res)) new Exchange(shared, { req, res, path, endpoint }).start();
    return true;
  };
}

type Shared = Parts['serving'] & { endOfTurn: EndOfTurn; bodies: WholeBodies };
type Request = { req: NodeRequest; res: NodeResponse; path: string; endpoint: OAuthEndpoint };

/** One request and its answer. */
class Exchange {
  readonly #shared: Shared;
  readonly #request: Request;
  readonly #call: Call;

  constructor(shared: Shared, request: Request) {
    this.#shared = shared;
    this.#request = request;
    const { req } = request;
    const hold = holdOf('stream' in req ? req.stream : req);
    const peer = hold?.peer ?? req.socket.remoteAddress;
    this.#call = shared.calls.begin((name) => headerText(req.headers[name]), peer, 'http');
    this.#call.hold = hold;
  }

  start(): void {
    const { req } = this.#request;
    try {
      if (req.method === 'POST') this.#read();
      else this.#answer(405, { allow: 'POST' }, errorBody('this endpoint is for POST alone'));
    } catch (error) {
      this.#fail(error);
    }
  }

  #read(): void {
    const { req, path } = this.#request;
    if (req.url !== path) throw invalidRequest('parameters belong into the body, not the query');
    requireOneCredential(req);
    this.#shared.bodies.read(req, this, this.#call.hold, undefined);
  }

  take(body: Buffer): void {
    this.#serve(body).catch((error) => this.#fail(error));
  }

  refuse(why: Failure): void {
    this.#fail(why);
  }

  async #serve(body: Buffer): Promise<void> {
    const { req, endpoint, path } = this.#request;
    const form = readForm(req.headers['content-type'], body);
    const call = this.#call;
    const accept = headerText(req.headers.accept) ?? '';
    const caller = () => callerOf({ values: contextOf(call), signal: this.#signal() });
    const asked = { call, form, accept, caller };
    const { type = 'application/json', body: text } = await endpoint(asked);
    this.#answer(200, { 'content-type': type }, text);
    logCall(this.#shared.log, call, path, undefined);
  }

  /** Fires when the client has gone. */
  #signal(): AbortSignal {
    const gone = new AbortController();
    this.#request.res.once('close', () => gone.abort());
    return gone.signal;
  }

  #fail(error: unknown): void {
    const { code, status, description, fields } = toldOf(error);
    const failed = toConnectError(failureOf(error), this.#call.requestId);
    logCall(this.#shared.log, this.#call, this.#request.path, failed);
    this.#answer(status, fields, errorBody(description, code));
  }

  #answer(status: number, fields: OutgoingHttpHeaders, body: string): void {
    const all = {
      'content-type': 'application/json',
      ...fields,
      ...Object.fromEntries(rateHeaders(this.#call.rateLimits ?? [])),
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'x-content-type-options': 'nosniff',
      'x-request-id': this.#call.requestId,
    };
    // One write after the other wakes a gateway once.
    this.#shared.endOfTurn.do(() => {
      try {
        answerOnce(this.#request.res, { status, fields: all, body });
      } catch (error) {
        this.#shared.log.debug({ component: 'oauth', ...errorFields(error) }, 'not delivered');
        this.#request.res.destroy();
      }
      this.#call.hold?.answered();
    });
  }
}

/** Two headers would be read differently by what stands in front of the service. */
function requireOneCredential({ rawHeaders }: NodeRequest): void {
  let found = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase();
    if (name === 'authorization' || name === 'x-api-key') found += 1;
  }
  if (found > 1) throw invalidRequest('the request has two credentials; send one');
}

function errorBody(description: string, code = 'invalid_request'): string {
  return JSON.stringify({ error: code, error_description: description });
}
