import { availableParallelism } from 'node:os';
import { bulkhead, TaskCancelledError } from 'cockatiel';
import { Failure } from '../platform/failure.ts';
import { type Argon2Settings, hashPassword, matchesHash, needsRehash } from './password-hash.ts';

/** A second or two of work per core: who would wait longer is told to come back. */
const ADMITTED_PER_SLOT = 60;
/** libuv's pool has four threads; token checks, files and DNS need the others. */
const MAX_SLOTS = 2;

/**
 * Hashes passwords with argon2id (RFC 9106) and checks them against hashes of every kind, in a lane
 * of its own: a few at once, some waiting, the rest refused with `OVERLOADED`, so that sign-ins can't
 * starve token checks (C12).
 */
export class PasswordHasher {
  readonly #settings: Argon2Settings;
  readonly #slots = Math.min(availableParallelism(), MAX_SLOTS);
  readonly #lane = bulkhead(this.#slots, Number.POSITIVE_INFINITY);
  #admitted = 0;
  #decoy: Promise<string> | undefined;

  constructor(settings: Argon2Settings) {
    this.#settings = settings;
  }

  /** A PHC string for a password, which is normalised (NFKC) first. */
  hash(password: string, signal: AbortSignal): Promise<string> {
    return this.#admit(() => this.#inLane(signal, () => hashPassword(password, this.#settings)));
  }

  /**
   * Whether the password is the one whose hash `find` gives, and if so whether the hash is not what
   * `hash` would make now. Without a hash, because there is no such account, or with one of an unknown
   * kind, it takes the time of one of ours and is wrong (C04); hashes from elsewhere take the time
   * that they take, until they are renewed. `checkedAt` is when its turn came, by `performance.now`:
   * from then on its duration depends on the account. Who is refused for the crowd is refused before `find`, so
   * that it is not the database that a flood of sign-ins takes from others.
   */
  verify<T extends { passwordHash: string | undefined }>(
    find: () => Promise<T>,
    password: string,
    signal: AbortSignal,
  ): Promise<T & { matches: boolean; needsRehash: boolean; checkedAt: number }> {
    return this.#admit(async () => {
      const found = await find();
      const hash = found.passwordHash;
      let checkedAt = 0;
      const matches = await this.#inLane(signal, () => {
        checkedAt = performance.now();
        return this.#matchesOrDecoy(password, hash);
      });
      const isStale = hash !== undefined && needsRehash(hash, this.#settings);
      return { ...found, matches, needsRehash: matches && isStale, checkedAt };
    });
  }

  /** Whether the password is one of those that were hashed: one admission, a turn for each hash. */
  matchesAny(password: string, hashes: readonly string[], signal: AbortSignal): Promise<boolean> {
    return this.#admit(async () => {
      for (const hash of hashes) {
        if (await this.#inLane(signal, () => this.#matches(password, hash))) return true;
      }
      return false;
    });
  }

  async #matchesOrDecoy(password: string, hash: string | undefined): Promise<boolean> {
    const matches = hash === undefined ? undefined : await this.#matches(password, hash);
    if (matches === undefined) await this.#matches(password, await this.#decoyHash());
    return matches ?? false;
  }

  #matches(password: string, hash: string): Promise<boolean | undefined> {
    return matchesHash(password, hash, this.#settings);
  }

  #decoyHash(): Promise<string> {
    this.#decoy ??= hashPassword('', this.#settings).catch((error) => {
      this.#decoy = undefined;
      throw error;
    });
    return this.#decoy;
  }

  async #admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#admitted >= this.#slots * ADMITTED_PER_SLOT) {
      throw new Failure('exhausted', 'OVERLOADED', 'too many passwords are waiting to be checked', {
        retryAfterMs: 2000,
      });
    }
    this.#admitted += 1;
    try {
      return await work();
    } finally {
      this.#admitted -= 1;
    }
  }

  async #inLane<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#lane.execute(work, signal);
    } catch (error) {
      if (error instanceof TaskCancelledError && signal.aborted) throw signal.reason;
      throw error;
    }
  }
}
