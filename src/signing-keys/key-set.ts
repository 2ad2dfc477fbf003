import { createPrivateKey } from 'node:crypto';
import type { JWK } from 'jose';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../platform/database.ts';
import { unavailable } from '../platform/failure.ts';
import { PRIVATE_KEY_PURPOSE } from './maintain-signing-keys.ts';
import { SigningKey } from './signing-key.entity.ts';
import { type VerificationKey, verificationKey } from './verification-key.ts';

/** A JSON Web Key Set, RFC 7517 section 5. */
export type Jwks = { keys: JWK[] };

const MISS_RELOAD_INTERVAL_MS = 1000;

/** The signing keys in memory: what this replica signs, verifies and publishes with. */
export class KeySet {
  readonly #database: Database;
  readonly #keyring: Keyring;
  #signing: VerificationKey | undefined;
  #verification = new Map<string, VerificationKey>();
  #jwks: Jwks = { keys: [] };
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  constructor(database: Database, keyring: Keyring) {
    this.#database = database;
    this.#keyring = keyring;
  }

  /** Reads the keys from the database, as they are when this is called. */
  async load(): Promise<void> {
    // A reading that is under way may have missed what has just been changed.
    await this.#loading?.catch(() => {});
    await this.#shareLoad();
  }

  #shareLoad(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    const keys = await this.#database.read((em) =>
      em.getRepository(SigningKey).findAll({ orderBy: { createdAt: 'asc' } }),
    );
    const published = keys.map((key) => publish(key));
    this.#jwks = { keys: published };
    // Of a newer version's kinds of key, this one knows nothing.
    const usable = published.map(verificationKey).filter((key) => key !== undefined);
    this.#verification = new Map(usable.map((key) => [key.id, key]));
    this.#loadedAt = performance.now();
    const active = keys.find((key) => key.state === 'active');
    if (active?.id !== this.#signing?.id) this.#signing = active && this.#open(active);
  }

  #open({ id, algorithm, privateSealed }: SigningKey): VerificationKey {
    const der = this.#keyring.open(PRIVATE_KEY_PURPOSE, privateSealed);
    return { id, algorithm, key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
  }

  get ready(): boolean {
    return this.#signing !== undefined;
  }

  get jwks(): Jwks {
    return this.#jwks;
  }

  /** The key that signs now, with its private half. */
  signingKey(): VerificationKey {
    if (!this.#signing) throw unavailable('the signing key');
    return this.#signing;
  }

  /**
   * The public key with this `kid`. An id that is not known may be a key that another replica has
   * just made, so that the keys are read again, though not for every guess. Throws `unavailable`
   * while there are no keys to look in: that says nothing of the token.
   */
  async find(id: string): Promise<VerificationKey | undefined> {
    const known = this.#verification.get(id);
    if (known) return known;
    if (performance.now() - this.#loadedAt >= MISS_RELOAD_INTERVAL_MS) await this.#shareLoad();
    if (this.#verification.size === 0) throw unavailable('the signing keys');
    return this.#verification.get(id);
  }
}

function publish(key: SigningKey): JWK {
  return { ...key.publicJwk, kid: key.id, alg: key.algorithm, use: 'sig' };
}
