import { hash } from 'node:crypto';
import type { Revocation } from '../gen/countersign/v1/session_service_pb.ts';
import { admit, type Rule } from './access.ts';
import { ApiKeys, type Verdict } from './api-keys.ts';
import { identify } from './credential.ts';
import { unavailable, VerifierError } from './errors.ts';
import { Events, type VerifierEvents } from './events.ts';
import { RevocationFeed } from './feed.ts';
import { addressOf, type HttpRequest, headersOf } from './http-request.ts';
import { KeySet } from './key-set.ts';
import { Memory, Shared } from './memory.ts';
import {
  keySourceOf,
  requireUsable,
  transportOf,
  type VerifierOptions,
  type WhileStale,
} from './options.ts';
import type { Principal } from './principal.ts';
import { CountersignService } from './service.ts';
import { type Clock, MACHINE_CLOCK, ServiceClock } from './service-clock.ts';
import { OpenStreams, type Presented } from './streams.ts';
import {
  expiredToken,
  invalidToken,
  keyIdOf,
  principalOfToken,
  requireForm,
  revokedToken,
} from './token.ts';

const TICK_MS = 250;
const DEFAULTS = {
  whileStale: 'refuse',
  staleAfterMs: 15_000,
  acceptForMs: 0,
  maxTokens: 10_000,
  maxRevocations: 1_000_000,
  rememberApiKeyMs: 1000,
  askTimeoutMs: 2000,
};

type Settings = VerifierOptions & Omit<typeof DEFAULTS, 'whileStale'> & { whileStale: WhileStale };

/** A new verifier waits this long for what is in force before it goes by `whileStale` (ms). */
const PATIENCE_MS = 1000;
/** Between two questions about the API key of an open stream (ms). */
const LEAST_RECHECK_MS = 1000;

const ANY_CREDENTIAL: Rule = { signedIn: true, apiKeyAllowed: true };

/** Verifies credentials, and follows what is revoked until it is closed. */
export class Verifier {
  readonly #options: Settings;
  readonly #clock: Clock;
  readonly #serviceClock: ServiceClock;
  readonly #events = new Events();
  readonly #service: CountersignService;
  readonly #keys: KeySet;
  readonly #feed: RevocationFeed;
  readonly #apiKeys: ApiKeys;
  readonly #known: Memory<Principal>;
  readonly #verifying = new Shared<Principal>();
  readonly #timer: NodeJS.Timeout;
  /** The open streams of your servers; the interceptors keep them. */
  readonly streams: OpenStreams;
  readonly #patientUntil: number;

  constructor(given: VerifierOptions) {
    requireUsable(given);
    const options = { ...DEFAULTS, ...given } as Settings;
    const { audience, credential, askTimeoutMs, staleAfterMs, maxRevocations } = options;
    const clock = options.clock ?? MACHINE_CLOCK;
    const serviceClock = new ServiceClock(clock);
    const clocks = { clock, serviceClock };
    this.#options = options;
    this.#clock = clock;
    this.#patientUntil = clock.monotonic() + PATIENCE_MS;
    this.#serviceClock = serviceClock;
    this.#known = new Memory(options.maxTokens);
    this.#service = new CountersignService({
      transport: transportOf(options),
      credential,
      audience,
      timeoutMs: askTimeoutMs,
    });
    this.#keys = new KeySet({
      fetch: options.fetch ?? fetch,
      clock,
      source: keySourceOf(options),
    });
    this.#feed = new RevocationFeed({
      ...clocks,
      service: this.#service,
      events: this.#events,
      staleAfterMs,
      maxRevocations,
      onRevocation: this.#hear,
    });
    this.#apiKeys = new ApiKeys({
      ...clocks,
      service: this.#service,
      feed: this.#feed,
      audience,
      rememberMs: options.rememberApiKeyMs,
    });
    this.streams = new OpenStreams({
      objection: (principal) => this.objection(principal),
      identify: (credential, presented) => this.identify(credential, presented),
      clock,
      asks: options.whileStale === 'ask',
      askEveryMs: staleAfterMs,
      recheckMs: Math.max(options.rememberApiKeyMs, LEAST_RECHECK_MS),
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    void this.#renewKeys();
  }

  /** `starting` until it has heard what is in force, then `ready`, and `stale` while it can't hear. */
  get state(): 'starting' | 'ready' | 'stale' {
    if (this.#feed.isFresh) return 'ready';
    return this.#feed.staleForMs === Number.POSITIVE_INFINITY ? 'starting' : 'stale';
  }

  /** The moment, by the service's clock (ms since 1970), up to which it has heard every revocation. */
  get heardUpToMs(): number {
    return this.#serviceClock.nowMs() - this.#feed.staleForMs;
  }

  /** How many tokens and revocations it holds. */
  get sizes(): { readonly tokens: number; readonly revocations: number } {
    return { tokens: this.#known.size, revocations: this.#feed.size };
  }

  /** The service's time, by which credentials are judged: seconds since 1970. */
  get nowSeconds(): number {
    return this.#serviceClock.nowSeconds();
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
    if (this.#feed.isFresh) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        off();
        reject(unavailable('Countersign has not been heard in time'));
      }, timeoutMs);
      const off = this.on('ready', () => {
        off();
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Stops following. Nothing can be verified afterwards. */
  close(): void {
    clearInterval(this.#timer);
    this.#feed.close();
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
    if (credential.startsWith('csk_')) return this.#apiKeys.verify(credential, ipAddress);
    const principal = this.#verifyToken(credential);
    return 'then' in principal ? principal.then(verdictOf) : verdictOf(principal);
  }

  /**
   * Why a principal that was accepted before is not any more, as far as is known here: undefined if it
   * still is. DEPENDENCY_UNAVAILABLE: revocations have not been heard for too long.
   */
  objection(principal: Principal): VerifierError | undefined {
    if (principal.expiresAt <= this.nowSeconds) return expiredToken();
    if (this.#feed.covers(principal)) return revokedToken();
    if (principal.keyId !== '' && !this.#keys.has(principal.keyId)) return invalidToken();
    return this.#goesByMemory ? undefined : notHeard();
  }

  #verifyToken(token: string): Principal | Promise<Principal> {
    requireForm(token);
    const digest = hash('sha256', token, 'base64url');
    const known = this.#known.get(digest);
    if (this.#goesByMemory) {
      if (known && this.#trustsKeys) return this.#live(known);
      return this.#verifying
        .run(digest, () => this.#verifyNow(token, digest))
        .then((principal) => this.#live(principal));
    }
    const patienceMs = this.#patientUntil - this.#clock.monotonic();
    if (this.state === 'starting' && patienceMs > 0) {
      return this.ready(patienceMs).then(
        () => this.#verifyToken(token),
        () => this.#verifyToken(token),
      );
    }
    if (this.#options.whileStale === 'ask') return this.#ask(token, digest);
    throw notHeard();
  }

  /** Whether what has been heard of revocations may decide. */
  get #goesByMemory(): boolean {
    const { whileStale, acceptForMs } = this.#options;
    if (this.#feed.isFresh) return true;
    return whileStale === 'accept' && this.#feed.staleForMs < acceptForMs;
  }

  /** While nothing is heard, revoked keys can't be missed by more than revoked tokens can. */
  get #trustsKeys(): boolean {
    return this.#keys.isFresh || !this.#feed.isFresh;
  }

  #live(principal: Principal): Principal {
    const objection = this.objection(principal);
    if (objection) throw objection;
    return principal;
  }

  async #verifyNow(token: string, digest: string): Promise<Principal> {
    const keyId = keyIdOf(token);
    if (this.#feed.coversKey(keyId)) throw revokedToken();
    if (!this.#trustsKeys) await this.#keys.read();
    const key = await this.#keys.find(keyId);
    if (!key) throw invalidToken();
    const { issuer, audience } = this.#options;
    const principal = await principalOfToken(token, key, { issuer, nowSeconds: this.nowSeconds });
    if (!principal.audience.includes(audience)) {
      throw new VerifierError('TOKEN_INVALID', 'the access token is for another audience');
    }
    this.#known.set(digest, principal);
    return principal;
  }

  async #ask(token: string, digest: string): Promise<Principal> {
    const principal = await this.#service.introspect(token);
    if (principal) return principal;
    // The service does not say why; what is known here may.
    const local = await this.#verifyNow(token, digest).catch((error: VerifierError) => error);
    if (!(local instanceof VerifierError)) {
      throw local.expiresAt <= this.nowSeconds ? expiredToken() : revokedToken();
    }
    throw local.isRefusal ? local : invalidToken();
  }

  #tick(): void {
    this.#feed.tick();
    if (this.#keys.isDue) void this.#renewKeys();
    this.streams.tick();
  }

  async #renewKeys(): Promise<void> {
    await this.#keys.read().catch((error: Error) => this.#events.emit('error', error));
  }

  readonly #hear = (revocation: Revocation): void => {
    const { target } = revocation;
    if (target.case === 'signingKeyId') this.#keys.drop(target.value);
    if (target.case === 'subject' || target.case === 'apiKeyId') this.#apiKeys.forget();
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

function notHeard(): VerifierError {
  return unavailable('revocations have not been heard for too long');
}
