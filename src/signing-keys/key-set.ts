import { createPrivateKey } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JWK } from 'jose';
import type { Keyring } from '../platform/crypto.ts';
import { unavailable } from '../platform/failure.ts';
import { type Hints, noHints } from '../platform/redis-hints.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { openPrivateKey } from './generate-signing-key.ts';
import type { SigningKey } from './signing-key.entity.ts';
import { signingKeysIn } from './signing-key.repository.ts';
import { publishedJwk } from './signing-key-view.ts';
import { type VerificationKey, verificationKey } from './verification-key.ts';

/** A JSON Web Key Set, RFC 7517 section 5. */
export type Jwks = { keys: JWK[] };

const CHANNEL = 'countersign:signing-keys';
/** How often unknown ids make this replica read the keys, at most. */
const MISS_INTERVAL_MS = 100;

/** The signing keys in memory, with which this replica signs, verifies and publishes. */
export class KeySet {
  readonly #database: SqlDatabase;
  readonly #keyring: Keyring;
  readonly #hints: Hints;
  #signing: VerificationKey | undefined;
  #signingSince: Date | undefined;
  #verification = new Map<string, VerificationKey>();
  #jwks: Jwks = { keys: [] };
  /** Keys revoked since this replica started: no reading brings them back. */
  readonly #revoked = new Set<string>();
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;
  #missed: Promise<void> | undefined;

  constructor(database: SqlDatabase, keyring: Keyring, hints: Hints = noHints) {
    this.#database = database;
    this.#keyring = keyring;
    this.#hints = hints;
  }

  /** Reads the keys when another replica has changed them. */
  follow(): void {
    this.#hints.subscribe(CHANNEL, () => void this.#tryToLoad());
  }

  /**
   * Call it after this replica has changed the keys and committed that. Never throws: if the keys can't
   * be read now, the next use reads them.
   */
  async announce(): Promise<void> {
    this.#hints.publish(CHANNEL);
    await this.#tryToLoad();
  }

  async #tryToLoad(): Promise<void> {
    await this.load().catch(() => {});
  }

  /** Reads the keys from the database, as they are when this is called or later. */
  load(): Promise<void> {
    // A reading in progress may have missed the latest change; the one after it does not.
    this.#waiting ??= this.#readNext();
    return this.#waiting;
  }

  async #readNext(): Promise<void> {
    await this.#reading?.catch(() => {});
    this.#waiting = undefined;
    this.#reading = this.#read();
    await this.#reading;
  }

  async #read(): Promise<void> {
    this.#readAt = performance.now();
    const all = await this.#database.read((em) =>
      signingKeysIn(em).findAll({ orderBy: { createdAt: 'asc' } }),
    );
    const keys = all.filter(({ id }) => !this.#revoked.has(id));
    const published = keys.map((key) => publishedJwk(key));
    this.#jwks = { keys: published };
    // A newer version of the program may add kinds of keys that this one can't use.
    const usable = published.map(verificationKey).filter((key) => key !== undefined);
    this.#verification = new Map(usable.map((key) => [key.id, key]));
    const active = keys.find((key) => key.state === 'active');
    this.#signingSince = active?.activatedAt ?? active?.createdAt;
    if (active?.id !== this.#signing?.id) this.#signing = active && this.#open(active);
  }

  #open(key: SigningKey): VerificationKey {
    const der = openPrivateKey(this.#keyring, key);
    const { id, algorithm } = key;
    return { id, algorithm, key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
  }

  /**
   * Stops signing, verifying and publishing with a revoked key, from this moment on and whatever a
   * reading in progress returns, and reads the key that has taken its place.
   */
  drop(id: string): void {
    if (this.#revoked.has(id)) return;
    this.#revoked.add(id);
    this.#verification.delete(id);
    this.#jwks = { keys: this.#jwks.keys.filter(({ kid }) => kid !== id) };
    if (this.#signing?.id === id) this.#signing = undefined;
    void this.#tryToLoad();
  }

  /** Since when the present key signs; undefined if there is none. */
  get signingSince(): Date | undefined {
    return this.#signing && this.#signingSince;
  }

  get ready(): boolean {
    return this.#signing !== undefined;
  }

  get jwks(): Jwks {
    return this.#jwks;
  }

  /** The key that signs now, with its private half. Throws `unavailable` if there is none. */
  async signingKey(): Promise<VerificationKey> {
    if (!this.#signing) await this.load();
    if (!this.#signing) throw unavailable('the signing key');
    return this.#signing;
  }

  /** Whether a key with this id is known, whose tokens are accepted. */
  has(id: string): boolean {
    return this.#verification.has(id);
  }

  /**
   * The public key with this `kid`. An unknown id may name a key that another replica has just added,
   * so the keys are read again, once for all who ask at about the same time. Throws `unavailable`
   * while there are no keys at all, which says nothing about the token.
   */
  async find(id: string): Promise<VerificationKey | undefined> {
    const known = this.#verification.get(id);
    if (known) return known;
    await this.#loadForMiss();
    if (this.#verification.size === 0) throw unavailable('the signing keys');
    return this.#verification.get(id);
  }

  /** Reads the keys after this is called: the key of any token signed by then is on record. */
  #loadForMiss(): Promise<void> {
    const waitMs = Math.max(this.#readAt + MISS_INTERVAL_MS - performance.now(), 0);
    this.#missed ??= sleep(waitMs).then(() => {
      this.#missed = undefined;
      return this.load();
    });
    return this.#missed;
  }
}
