import type { Revocation } from '../gen/countersign/v1/session_service_pb.ts';
import { admit, type Rule } from './access.ts';
import type { Verdict } from './api-keys.ts';
import { identify } from './credential.ts';
import { unavailable, type VerifierError } from './errors.ts';
import { Events, type VerifierEvents } from './events.ts';
import { addressOf, type HttpRequest, headersOf } from './http-request.ts';
import { settingsOf, type VerifierOptions } from './options.ts';
import { partsOf, type VerifierParts } from './parts.ts';
import type { Principal } from './principal.ts';
import { MACHINE_CLOCK } from './service-clock.ts';
import { OpenStreams, type Presented } from './streams.ts';

const TICK_MS = 250;
/** Between two questions about the API key of an open stream (ms). */
const LEAST_RECHECK_MS = 1000;

const ANY_CREDENTIAL: Rule = { signedIn: true, apiKeyAllowed: true };

/** Verifies credentials, and follows what is revoked until it is closed. */
export class Verifier {
  readonly #events = new Events();
  readonly #parts: VerifierParts;
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;
  /** The open streams of your servers; the interceptors keep them. */
  readonly streams: OpenStreams;

  constructor(options: VerifierOptions) {
    const settings = settingsOf(options);
    const { clock = MACHINE_CLOCK, whileStale, staleAfterMs, rememberApiKeyMs } = settings;
    this.#parts = partsOf({ settings, clock, events: this.#events, onRevocation: this.#hear });
    this.streams = new OpenStreams({
      objection: (principal) => this.objection(principal),
      identify: (credential, presented) => this.identify(credential, presented),
      clock,
      asks: whileStale === 'ask',
      askEveryMs: staleAfterMs,
      recheckMs: Math.max(rememberApiKeyMs, LEAST_RECHECK_MS),
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    void this.#renewKeys();
  }

  /**
   * `starting` until it has heard what is in force, then `ready`, and `stale` while it can't hear;
   * `closed` in the end.
   */
  get state(): 'starting' | 'ready' | 'stale' | 'closed' {
    return this.#isClosed ? 'closed' : this.#parts.feed.state;
  }

  /** The moment, by the service's clock (ms since 1970), up to which it has heard every revocation. */
  get heardUpToMs(): number {
    return this.#parts.serviceClock.nowMs() - this.#parts.feed.staleForMs;
  }

  /** How many tokens and revocations it holds. */
  get sizes(): { readonly tokens: number; readonly revocations: number } {
    return { tokens: this.#parts.accessTokens.size, revocations: this.#parts.feed.size };
  }

  /** The service's time, by which credentials are judged: seconds since 1970. */
  get nowSeconds(): number {
    return this.#parts.serviceClock.nowSeconds();
  }

  /** Calls `listener` with each event. Returns what ends that. */
  on<K extends keyof VerifierEvents>(
    name: K,
    listener: (...event: VerifierEvents[K]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Resolves when it has heard what is in force. Rejects as UNAVAILABLE after `timeoutMs`. */
  ready(timeoutMs = 10_000): Promise<void> {
    return this.#parts.feed.ready(timeoutMs);
  }

  /** Stops following, and ends the open streams. Afterwards it answers UNAVAILABLE. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#parts.feed.close();
    this.streams.close();
  }

  /**
   * Returns the principal of an access token or API key that is valid now: at once if it is known already,
   * else a promise.
   *
   * Throws a `VerifierError` either way: TOKEN_INVALID, TOKEN_EXPIRED and TOKEN_REVOKED refuse the
   * credential; DEPENDENCY_UNAVAILABLE says nothing about it.
   */
  verify(credential: string, presented: Presented = {}): Principal | Promise<Principal> {
    const verdict = this.identify(credential, presented);
    return 'then' in verdict ? verdict.then(({ principal }) => principal) : verdict.principal;
  }

  /**
   * Returns who makes an HTTP request, by its `authorization` or `x-api-key`: of a fetch-style handler or of
   * node's. By default any access token or API key will do; `rule` says what else is needed, and whether
   * nobody will do too. Throws a `VerifierError`, whose `httpStatus` and `httpHeaders` are the answer.
   */
  async authenticate(
    request: HttpRequest,
    options: Presented & { readonly rule: Rule & { readonly public: true } },
  ): Promise<Principal | undefined>;
  async authenticate(
    request: HttpRequest,
    options?: Presented & { readonly rule?: Rule },
  ): Promise<Principal>;
  async authenticate(
    request: HttpRequest,
    { rule = ANY_CREDENTIAL, ipAddress = addressOf(request) }: Presented & { rule?: Rule } = {},
  ): Promise<Principal | undefined> {
    const { verdict, refusal } = await identify(this, headersOf(request), { ipAddress });
    return admit(rule, { principal: verdict?.principal, refusal }, this.nowSeconds);
  }

  /** The same, with what the interceptors need to know of an API key. */
  identify(credential: string, { ipAddress = '' }: Presented = {}): Verdict | Promise<Verdict> {
    if (this.#isClosed) throw unavailable('the verifier is closed');
    if (credential.startsWith('csk_')) return this.#parts.apiKeys.verify(credential, ipAddress);
    const principal = this.#parts.accessTokens.verify(credential);
    return 'then' in principal ? principal.then(verdictOf) : verdictOf(principal);
  }

  /**
   * Why a principal that was accepted before is not any more, as far as is known here: undefined if it
   * still is. DEPENDENCY_UNAVAILABLE: revocations have not been heard for too long.
   */
  objection(principal: Principal): VerifierError | undefined {
    return this.#parts.standing.objection(principal);
  }

  #tick(): void {
    this.#parts.feed.tick();
    if (this.#parts.keys.isDue) void this.#renewKeys();
    this.streams.tick();
  }

  async #renewKeys(): Promise<void> {
    await this.#parts.keys.read().catch((error: Error) => this.#events.emit('error', error));
  }

  readonly #hear = (revocation: Revocation): void => {
    const { target } = revocation;
    if (target.case === 'signingKeyId') this.#parts.keys.drop(target.value);
    if (target.case === 'subject') this.#parts.apiKeys.forget(target.value.subject);
    if (target.case === 'apiKeyId') this.#parts.apiKeys.forget(target.value);
    this.streams.hear(revocation);
  };
}

/** Verifies access tokens and API keys of Countersign in your own service. Close it in the end. */
export function createVerifier(options: VerifierOptions): Verifier {
  return new Verifier(options);
}

function verdictOf(principal: Principal): Verdict {
  return { principal, isLimited: false };
}
