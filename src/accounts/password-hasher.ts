import { availableParallelism } from 'node:os';
import argon2 from 'argon2';
import { bulkhead, TaskCancelledError } from 'cockatiel';
import { Failure } from '../platform/failure.ts';

export type Argon2Settings = { memoryCost: number; timeCost: number };

/** About two seconds of work per core: who would wait longer is told to come back. */
const ADMITTED_PER_SLOT = 60;
/** libuv's pool has four threads; token checks, files and DNS need the others. */
const MAX_SLOTS = 2;

/**
 * Hashes and checks passwords with argon2id (RFC 9106), in a lane of its own: a few at once, some
 * waiting, the rest refused with `OVERLOADED`, so that sign-ins can't starve token checks (C12).
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
    return this.#admit(() => this.#inLane(signal, () => this.#hash(password)));
  }

  /**
   * Whether the password is the one whose hash `find` gives. Without a hash, because there is no such
   * account, it takes the same time and is wrong (C04). Who is refused for the crowd is refused
   * before `find`, so that it is not the database that a flood of sign-ins takes from others.
   */
  verify<T extends { passwordHash: string | undefined }>(
    find: () => Promise<T>,
    password: string,
    signal: AbortSignal,
  ): Promise<T & { matches: boolean }> {
    return this.#admit(async () => {
      const found = await find();
      const phc = found.passwordHash;
      const matches = await this.#inLane(signal, async () =>
        argon2.verify(phc ?? (await this.#decoyHash()), normalise(password)),
      );
      return { ...found, matches: matches && phc !== undefined };
    });
  }

  #decoyHash(): Promise<string> {
    this.#decoy ??= this.#hash('').catch((error) => {
      this.#decoy = undefined;
      throw error;
    });
    return this.#decoy;
  }

  #hash(password: string): Promise<string> {
    return argon2.hash(normalise(password), {
      type: argon2.argon2id,
      parallelism: 1,
      ...this.#settings,
    });
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

function normalise(password: string): string {
  return password.normalize('NFKC');
}
