import { availableParallelism } from 'node:os';
import argon2 from 'argon2';
import { BulkheadRejectedError, bulkhead, TaskCancelledError } from 'cockatiel';
import { Failure } from '../platform/failure.ts';

export type Argon2Settings = { memoryCost: number; timeCost: number };

/** About two seconds of work per core: who would wait longer is told to come back. */
const QUEUED_PER_SLOT = 60;
/** libuv's pool has four threads; token checks, files and DNS need the others. */
const MAX_SLOTS = 2;

/**
 * Hashes and checks passwords with argon2id (RFC 9106), in a lane of its own: a few at once, some
 * waiting, the rest refused with `OVERLOADED`, so that sign-ins can't starve token checks (C12).
 */
export class PasswordHasher {
  readonly #settings: Argon2Settings;
  readonly #lane;
  #decoy: Promise<string> | undefined;

  constructor(settings: Argon2Settings) {
    this.#settings = settings;
    const slots = Math.min(availableParallelism(), MAX_SLOTS);
    this.#lane = bulkhead(slots, slots * QUEUED_PER_SLOT);
  }

  /** A PHC string for a password, which is normalised (NFKC) first. */
  hash(password: string, signal: AbortSignal): Promise<string> {
    return this.#inLane(signal, () => this.#hash(password));
  }

  /**
   * Whether the password is the one that was hashed. Without a hash, because there is no such
   * account, it takes the same time and gives false (C04).
   */
  verify(phc: string | undefined, password: string, signal: AbortSignal): Promise<boolean> {
    return this.#inLane(signal, async () => {
      this.#decoy ??= this.#hash('');
      const matches = await argon2.verify(phc ?? (await this.#decoy), normalise(password));
      return matches && phc !== undefined;
    });
  }

  #hash(password: string): Promise<string> {
    return argon2.hash(normalise(password), {
      type: argon2.argon2id,
      parallelism: 1,
      ...this.#settings,
    });
  }

  async #inLane<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#lane.execute(work, signal);
    } catch (error) {
      if (error instanceof TaskCancelledError && signal.aborted) throw signal.reason;
      if (!(error instanceof BulkheadRejectedError)) throw error;
      throw new Failure('exhausted', 'OVERLOADED', 'too many passwords are waiting to be checked', {
        retryAfterMs: 2000,
      });
    }
  }
}

function normalise(password: string): string {
  return password.normalize('NFKC');
}
