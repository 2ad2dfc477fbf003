import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import { isIPv4 } from 'node:net';
import { isSameAddress } from './target-addresses.ts';
import { type SignedMessage, signedHeaders } from './webhook-signature.ts';
import { type CheckedTarget, TargetRefused, type WebhookTargets } from './webhook-targets.ts';

/** All of an attempt: the name, the connection, TLS, the request and the whole answer. */
const ATTEMPT_MS = 15_000;
/** How long one of several addresses may take to connect before the next is tried. */
const NEXT_ADDRESS_MS = 1000;
const MAX_HEADERS_BYTES = 16 * 1024;
const MAX_BODY_BYTES = 4096;
/** All that is read of a connection, which the limits above don't count all of: empty lines, for example. */
const MAX_BYTES = 256 * 1024;
/** How many informational answers (1xx) may come before the answer. */
const MAX_INFORMATION = 10;

type AttemptFailure =
  | 'target_forbidden'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'timeout'
  | 'redirect'
  | 'status'
  | 'bad_response';

/** What became of one attempt. Without a failure, the message has been taken. */
export type Attempt = {
  durationMs: number;
  status?: number;
  failure?: AttemptFailure;
  /** How long the target asks to be left alone. */
  retryAfterMs?: number;
};

type Answer = Omit<Attempt, 'durationMs'>;
type Message = SignedMessage & {
  url: string;
  /** Of the trace that the attempt belongs to, for the target. */
  traceparent?: string;
};

/**
 * Makes one attempt to deliver a message: checks the target, connects to an address that was checked,
 * and sends one request. It follows no redirect, keeps no connection and no cookie, uses no proxy, and
 * reads no more of the answer than it has to (E03, E04).
 *
 * Throws only the reason of `signal`.
 */
export async function sendWebhook(
  { webhookTargets }: { webhookTargets: WebhookTargets },
  message: Message,
  now: Date,
  signal: AbortSignal,
  limitMs: number = ATTEMPT_MS,
): Promise<Attempt> {
  signal.throwIfAborted();
  const startedAt = performance.now();
  const { promise: over, resolve: end, reject } = Promise.withResolvers<Answer>();
  const exchange = new Exchange(end);
  const timer = setTimeout(() => exchange.fail('timeout'), limitMs);
  const leave = () => {
    exchange.close();
    reject(signal.reason);
  };
  signal.addEventListener('abort', leave, { once: true });
  try {
    webhookTargets
      .check(message.url)
      .then((target) => exchange.send(target, message, now))
      .catch((error) => exchange.fail(error instanceof TargetRefused ? error.kind : 'connect'));
    const answer = await over;
    return { durationMs: Math.round(performance.now() - startedAt), ...answer };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

/** One request and its answer, which ends once. */
class Exchange {
  readonly #end: (answer: Answer) => void;
  #phase: 'connect' | 'tls' | 'bad_response' = 'connect';
  #request: ClientRequest | undefined;
  #status: number | undefined;
  #closed = false;

  constructor(end: (answer: Answer) => void) {
    this.#end = end;
  }

  /** Ends the exchange, if it has not ended. */
  close(): void {
    this.#closed = true;
    this.#request?.destroy();
  }

  fail(failure: AttemptFailure): void {
    const status = this.#status === undefined ? {} : { status: this.#status };
    this.#finish({ ...status, failure });
  }

  send(target: CheckedTarget, message: Message, now: Date): void {
    if (this.#closed) return;
    const { url, host, port, addresses } = target;
    const isHttps = url.protocol === 'https:';
    const options = {
      method: 'POST',
      host,
      port,
      path: `${url.pathname}${url.search}`,
      headers: headersOf(message, url, now),
      lookup: pinned(addresses),
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
      // A connection of its own, and no proxy of the environment.
      agent: false,
      maxHeaderSize: MAX_HEADERS_BYTES,
    } as const;
    const request = isHttps ? httpsRequest(options) : httpRequest(options);
    this.#request = request;
    request.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    request.on('socket', (socket) => this.#watch(socket, addresses, isHttps));
    let information = 0;
    request.on('information', () => {
      information += 1;
      if (information > MAX_INFORMATION) this.fail('bad_response');
    });
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      this.fail('bad_response');
    });
    request.on('response', (response) => this.#read(response, now));
    request.end(message.body);
  }

  /** Nothing has been written when it is known where the connection leads. */
  #watch(socket: Socket, addresses: readonly string[], isHttps: boolean): void {
    socket.once('connect', () => {
      const remote = socket.remoteAddress;
      if (remote === undefined || !addresses.some((one) => isSameAddress(one, remote))) {
        this.fail('target_forbidden');
      } else this.#phase = isHttps ? 'tls' : 'bad_response';
    });
    socket.once('secureConnect', () => {
      this.#phase = 'bad_response';
    });
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) this.fail('bad_response');
    });
  }

  #read(response: IncomingMessage, now: Date): void {
    const status = response.statusCode ?? 0;
    this.#status = status;
    let bytes = 0;
    const answer = answerOf(status, response.headers['retry-after'], now);
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) this.#finish(answer);
    });
    response.on('end', () => this.#finish(answer));
    response.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
  }

  #fail(error: NodeJS.ErrnoException): void {
    const isCut = error.code === 'ECONNRESET' || error.code === 'EPIPE';
    this.fail(isCut && this.#phase === 'bad_response' ? 'connect' : this.#phase);
  }

  #finish(answer: Answer): void {
    this.close();
    this.#end(answer);
  }
}

function headersOf(message: Message, url: URL, now: Date) {
  return {
    host: url.host,
    'content-type': 'application/json',
    'content-length': message.body.length,
    'user-agent': 'countersign',
    'accept-encoding': 'identity',
    ...signedHeaders(message, now),
    ...(message.traceparent === undefined ? {} : { traceparent: message.traceparent }),
  };
}

/** A lookup that knows only what has been checked. Node calls it for names, not for addresses. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }));
  return (_name, options, callback) => {
    const [first] = all;
    if (options.all) callback(null, all);
    else callback(null, first?.address ?? '', first?.family);
  };
}

function answerOf(status: number, retryAfter: string | undefined, now: Date): Answer {
  if (status >= 200 && status < 300) return { status };
  const failure = status >= 300 && status < 400 ? 'redirect' : 'status';
  const retryAfterMs = timeIn(retryAfter, now);
  return { status, failure, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** The time in a `Retry-After` (RFC 9110, section 10.2.3), in ms from now. */
function timeIn(text: string | undefined, now: Date): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = /^[A-Z][a-z]{2}, .* GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(at - now.getTime(), 0);
}
