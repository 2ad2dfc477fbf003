import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { boundedBody } from '../platform/bounded-body.ts';
import { type Breaker, type Breakers, isLeftAlone } from '../platform/breakers.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { isKeyUrl, type WorkloadIssuer } from './workload-issuer.ts';

const TIMEOUT_MS = 2000;
const MAX_BYTES = 64 * 1024;
const FAULTS_TO_OPEN = 3;
const REST_MS = 10_000;
/** How long a key set is used without asking again, and how long if it can't be had again. */
const FRESH_MS = 5 * 60_000;
const USABLE_MS = 60 * 60_000;
/** How often a `kid` that is not among them leads to another question: anyone can invent one. */
const COOLDOWN_MS = 10_000;

type Keys = ReturnType<typeof createLocalJWKSet>;

/**
 * The key set of an outside issuer. It is fetched when it is needed, and kept; answers of more than 64 KiB
 * or two seconds are failures, and after three in a row the issuer is left alone for ten seconds (W13).
 */
export class OutsideKeys {
  readonly #issuer: Pick<WorkloadIssuer, 'issuer' | 'jwks_uri'>;
  readonly #log: Log;
  readonly #breaker: Breaker;
  #known: { keys: Keys; fetchedAtMs: number } | undefined;
  #asking: Promise<void> | undefined;

  constructor(
    issuer: Pick<WorkloadIssuer, 'issuer' | 'jwks_uri'>,
    { log, breakers }: { log: Log; breakers: Breakers },
  ) {
    this.#issuer = issuer;
    this.#log = log;
    // The issuers share a name: theirs are URLs.
    this.#breaker = breakers.add('workload_issuers', { faults: FAULTS_TO_OPEN, restMs: REST_MS });
  }

  /** The keys as they are known; asks for them if those are old. Undefined if they can't be had. */
  async get(): Promise<Keys | undefined> {
    if (this.#age() > FRESH_MS) await this.#ask();
    return this.#age() <= USABLE_MS ? this.#known?.keys : undefined;
  }

  /** The same after a key was missing. Undefined if it is too early to ask again. */
  async getAgain(): Promise<Keys | undefined> {
    if (this.#age() <= COOLDOWN_MS) return undefined;
    await this.#ask();
    return this.#age() <= COOLDOWN_MS ? this.#known?.keys : undefined;
  }

  /** By a clock that nobody sets. */
  #age(): number {
    return performance.now() - (this.#known?.fetchedAtMs ?? Number.NEGATIVE_INFINITY);
  }

  /** All who ask meanwhile wait for the same answer. Never throws. */
  #ask(): Promise<void> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<void> {
    try {
      const jwks = await this.#breaker.run(() => this.#jwks());
      this.#known = { keys: jwks, fetchedAtMs: performance.now() };
    } catch (error) {
      // The failures that opened the breaker have been logged.
      if (isLeftAlone(error)) return;
      const status = error instanceof UnusableAnswer ? error.message : undefined;
      const fields = { component: 'workload keys', name: this.#issuer.issuer };
      this.#log.warn({ ...fields, ...errorFields(error), status, stack: undefined }, 'not had');
    }
  }

  async #jwks(): Promise<Keys> {
    const { issuer, jwks_uri: configured } = this.#issuer;
    const uri = configured ?? (await this.#discovered(issuer));
    return createLocalJWKSet((await jsonAt(uri)) as JSONWebKeySet);
  }

  async #discovered(issuer: string): Promise<string> {
    const url = `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
    const found = (await jsonAt(url)) as { issuer?: unknown; jwks_uri?: unknown } | null;
    const uri = found?.jwks_uri;
    if (found?.issuer !== issuer || typeof uri !== 'string' || !isKeyUrl(uri)) {
      throw new UnusableAnswer('discovery names another issuer, or no keys');
    }
    return uri;
  }
}

/** An answer that can't be used. The message quotes nothing of it. */
class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer';
}

async function jsonAt(url: string): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: 'application/json', 'user-agent': 'countersign' },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new UnusableAnswer(`status ${response.status}`);
  }
  const body = await boundedBody(response, MAX_BYTES);
  if (!body) throw new UnusableAnswer('too long');
  return JSON.parse(body.toString());
}
