import { type CryptoKey, importJWK, type JWK } from 'jose';
import { unavailable } from './errors.ts';
import { type Clock, Since } from './service-clock.ts';

/** A public key that signs access tokens: the key decides the algorithm. */
export type VerificationKey = {
  readonly id: string;
  readonly key: CryptoKey;
  readonly algorithm: string;
};

/** The algorithms that Countersign signs with, and the kinds of key that they take. */
const KINDS: Readonly<Record<string, string>> = { ES256: 'EC', EdDSA: 'OKP', RS256: 'RSA' };
const MAX_BYTES = 256 * 1024;
const TIMEOUT_MS = 3000;
/** What the key set says of itself: `max-age`. */
const RENEW_MS = 300_000;
/** A key that is no longer published must not be trusted for longer: see `Revocation.expires_at`. */
const MAX_AGE_MS = 20 * 60_000;
/** Between two questions that an unknown `kid` leads to: anyone can make one up. */
export const COOLDOWN_MS = 10_000;
/** The same shortly after a key was revoked, when another begins to sign at once, and for an old set. */
const SHORT_COOLDOWN_MS = 1000;
const SHORT_FOR_MS = 30_000;

export type KeySetParts = {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** The address of the key set, or of a discovery document that names it. */
  readonly source: { readonly jwksUrl: string } | { readonly issuer: string };
};

/** The issuer's public keys, read again every five minutes, and when a token names an unknown one. */
export class KeySet {
  readonly #parts: KeySetParts;
  #keys = new Map<string, VerificationKey>();
  #read: Since | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failed: unknown;
  #shortUntil = Number.NEGATIVE_INFINITY;
  /** Revoked keys, which a cache may still publish. */
  readonly #dropped = new Set<string>();
  #reading: Promise<void> | undefined;

  constructor(parts: KeySetParts) {
    this.#parts = parts;
  }

  /** Whether the set is recent enough to tell that a key is still published. */
  get isFresh(): boolean {
    return this.#read !== undefined && this.#read.ms < MAX_AGE_MS;
  }

  /** Whether it is time to read the set again. */
  get isDue(): boolean {
    return this.#sinceTried >= (this.#failed || !this.#read ? COOLDOWN_MS : RENEW_MS);
  }

  get #sinceTried(): number {
    return this.#parts.clock.monotonic() - this.#triedAt;
  }

  has(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  /** The key of a `kid`; undefined if the issuer has none. Throws if that can't be found out. */
  async find(keyId: string): Promise<VerificationKey | undefined> {
    const known = this.#keys.get(keyId);
    if (known || this.#dropped.has(keyId)) return known;
    const isShort = this.#parts.clock.monotonic() < this.#shortUntil;
    if (this.#reading || this.#sinceTried >= (isShort ? SHORT_COOLDOWN_MS : COOLDOWN_MS)) {
      await this.read();
    } else if (this.#failed || !this.#read) {
      throw unavailable('the keys of the issuer are not known', this.#failed);
    }
    return this.#keys.get(keyId);
  }

  /** Refuses a revoked key permanently, and looks for its successor soon. */
  drop(keyId: string): void {
    this.#dropped.add(keyId);
    this.#keys.delete(keyId);
    this.#shortUntil = this.#parts.clock.monotonic() + SHORT_FOR_MS;
  }

  /** Reads the set. Several callers at once share one reading. Throws if the issuer is away. */
  read(): Promise<void> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Reads a set that is too old to go by. While that fails, it does not for each token. */
  async renew(): Promise<void> {
    if (this.#failed && !this.#reading && this.#sinceTried < SHORT_COOLDOWN_MS) {
      throw unavailable('the keys of the issuer could not be read', this.#failed);
    }
    await this.read();
  }

  async #readNow(): Promise<void> {
    this.#triedAt = this.#parts.clock.monotonic();
    const begun = new Since(this.#parts.clock);
    try {
      const { keys } = await this.#json(await this.#address());
      if (!Array.isArray(keys)) throw new Error('the answer is no key set');
      const read = await Promise.all(keys.map(keyOf));
      const usable = read.filter((key) => key !== undefined);
      // An issuer has one at all times: this is an answer of somebody else's, or of a later version.
      if (usable.length === 0) throw new Error('the key set has no key of a known kind');
      this.#keys = new Map(usable.map((key) => [key.id, key]));
      for (const keyId of this.#dropped) this.#keys.delete(keyId);
      this.#read = begun;
      this.#failed = undefined;
    } catch (error) {
      this.#failed = error;
      throw unavailable('the keys of the issuer could not be read', error);
    }
  }

  /** OpenID Connect Discovery 1.0, section 4: the document must name the issuer that was asked for. */
  async #address(): Promise<string> {
    const { source } = this.#parts;
    if ('jwksUrl' in source) return source.jwksUrl;
    const issuer = source.issuer.replace(/\/$/, '');
    const document = await this.#json(`${issuer}/.well-known/openid-configuration`);
    if (document['issuer'] !== source.issuer) throw new Error('discovery names another issuer');
    return String(document['jwks_uri']);
  }

  async #json(url: string): Promise<Record<string, unknown>> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await this.#parts.fetch(url, {
      signal,
      redirect: 'error',
      headers: { accept: 'application/json' },
    });
    if (!answer.ok) {
      await answer.body?.cancel();
      throw new Error(`${url} answered ${answer.status}`);
    }
    const text = await boundedText(answer);
    return JSON.parse(text) ?? {};
  }
}

async function boundedText(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Undefined for a key of another purpose or kind, which a later version of the service may publish. */
async function keyOf(jwk: JWK): Promise<VerificationKey | undefined> {
  const { kid, alg, kty, use } = jwk ?? {};
  if (typeof kid !== 'string' || typeof alg !== 'string' || KINDS[alg] !== kty) return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  try {
    const key = await importJWK({ ...jwk, ext: true }, alg);
    return key instanceof Uint8Array || key.type !== 'public'
      ? undefined
      : { id: kid, key, algorithm: alg };
  } catch {
    return undefined;
  }
}
