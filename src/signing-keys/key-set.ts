import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { JWK } from 'jose';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../platform/database.ts';
import { unavailable } from '../platform/failure.ts';
import { PRIVATE_KEY_PURPOSE } from './maintain-signing-keys.ts';
import { type SigningAlgorithm, SigningKey } from './signing-key.entity.ts';

export type VerificationKey = { id: string; algorithm: SigningAlgorithm; key: KeyObject };
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
  #loadedAt = -MISS_RELOAD_INTERVAL_MS;

  constructor(database: Database, keyring: Keyring) {
    this.#database = database;
    this.#keyring = keyring;
  }

  /** Reads the keys from the database. */
  async load(): Promise<void> {
    const keys = await this.#database.read((em) =>
      em.getRepository(SigningKey).findAll({ orderBy: { createdAt: 'asc' } }),
    );
    const active = keys.find((key) => key.state === 'active');
    this.#signing = active && {
      id: active.id,
      algorithm: active.algorithm,
      key: createPrivateKey({
        key: this.#keyring.open(PRIVATE_KEY_PURPOSE, active.privateSealed),
        format: 'der',
        type: 'pkcs8',
      }),
    };
    this.#jwks = { keys: keys.map((key) => publish(key)) };
    this.#verification = new Map(
      keys.map(({ id, algorithm, publicJwk }) => [
        id,
        { id, algorithm, key: createPublicKey({ key: publicJwk, format: 'jwk' }) },
      ]),
    );
    this.#loadedAt = performance.now();
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
   * just made, so that the keys are read again, though not for every guess.
   */
  async find(id: string): Promise<VerificationKey | undefined> {
    const known = this.#verification.get(id);
    if (known || performance.now() - this.#loadedAt < MISS_RELOAD_INTERVAL_MS) return known;
    this.#loadedAt = performance.now();
    await this.load();
    return this.#verification.get(id);
  }
}

function publish(key: SigningKey): JWK {
  return { ...key.publicJwk, kid: key.id, alg: key.algorithm, use: 'sig' };
}
