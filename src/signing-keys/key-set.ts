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
/** Guesses at ids have the keys read this often at most. */
const MISS_INTERVAL_MS = 100;

/** The signing keys in memory: what this replica signs, verifies and publishes with. */
export class KeySet {
  readonly #database: SqlDatabase;
  readonly #keyring: Keyring;
  readonly #hints: Hints;
  #signing: VerificationKey | undefined;
  #verification = new Map<string, VerificationKey>();
  #jwks: Jwks = { keys: [] };
  /** Keys that were revoked since this replica started: no reading brings them back. */
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
   * To be called when this replica has changed the keys, and committed that. It never fails: what could
   * not be read now is read by who needs it next.
   */
  async announce(): Promise<void> {
    this.#hints.publish(CHANNEL);
    await this.#tryToLoad();
  }

  async #tryToLoad(): Promise<void> {
    await this.load().catch(() => {});
  }

  /** Reads the keys from the database, as they are when this is called. */
  load(): Promise<void> {
    // A reading that is under way may have missed what has just been changed: the next one has not.
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
    // Of a newer version's kinds of key, this one knows nothing.
    const usable = published.map(verificationKey).filter((key) => key !== undefined);
    this.#verification = new Map(usable.map((key) => [key.id, key]));
    const active = keys.find((key) => key.state === 'active');
    if (active?.id !== this.#signing?.id) this.#signing = active && this.#open(active);
  }

  #open(key: SigningKey): VerificationKey {
    const der = openPrivateKey(this.#keyring, key);
    const { id, algorithm } = key;
    return { id, algorithm, key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
  }

  /**
   * Has this replica sign, verify and publish with a revoked key no more, from this moment on and
   * whatever a reading that is under way brings, and looks for the key that has taken its place.
   */
  drop(id: string): void {
    if (this.#revoked.has(id)) return;
    this.#revoked.add(id);
    this.#verification.delete(id);
    this.#jwks = { keys: this.#jwks.keys.filter(({ kid }) => kid !== id) };
    if (this.#signing?.id === id) this.#signing = undefined;
    void this.#tryToLoad();
  }

  get ready(): boolean {
    return this.#signing !== undefined;
  }

  get jwks(): Jwks {
    return this.#jwks;
  }

  /** The key that signs now, with its private half. Throws `unavailable` where none can be had. */
  async signingKey(): Promise<VerificationKey> {
    if (!this.#signing) await this.load();
    if (!this.#signing) throw unavailable('the signing key');
    return this.#signing;
  }

  /** Whether this is the id of a key whose tokens are accepted. */
  has(id: string): boolean {
    return this.#verification.has(id);
  }

  /**
   * The public key with this `kid`. An id that is not known may be a key that another replica has
   * just made, so that the keys are read again, for all who ask at about the same time. Throws
   * `unavailable` while there are no keys to look in: that says nothing of the token.
   */
  async find(id: string): Promise<VerificationKey | undefined> {
    const known = this.#verification.get(id);
    if (known) return known;
    await this.#loadForMiss();
    if (this.#verification.size === 0) throw unavailable('the signing keys');
    return this.#verification.get(id);
  }

  /** A reading that begins after this is called: what was signed by then has its key on record. */
  #loadForMiss(): Promise<void> {
    const waitMs = Math.max(this.#readAt + MISS_INTERVAL_MS - performance.now(), 0);
    this.#missed ??= sleep(waitMs).then(() => {
      this.#missed = undefined;
      return this.load();
    });
    return this.#missed;
  }
}
