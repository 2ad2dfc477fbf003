import { availableParallelism } from 'node:os';
import { bulkhead, TaskCancelledError } from 'cockatiel';
import { Durations } from '../platform/durations.ts';
import { Failure } from '../platform/failure.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { noTracer, type Tracer } from '../platform/tracer.ts';
import { Turns } from '../platform/turns.ts';
import { type Argon2Settings, hashPassword, matchesHash, needsRehash } from './password-hash.ts';

const HASH_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;
/** A second or two of work per core; callers who would wait longer are told to come back. */
const ADMITTED_PER_SLOT = 60;
/** A refused sign-in takes a quarter or half of a second: the last one waits ten or twenty seconds. */
const WAITING_FOR_ONE_ACCOUNT = 40;
const TOO_MANY_FOR_ONE_ACCOUNT =
  'too many passwords for one account are waiting to be checked; try again later';
/** Part of a call: the wait for a turn, and one hash. */
const HASH = { name: 'password hash', kind: 'internal' } as const;
/** Of the four threads in libuv's pool; token checks, files and DNS need the others. */
const MAX_SLOTS = 2;

/**
 * Hashes passwords with argon2id (RFC 9106) and checks them against hashes of every kind, in a lane of
 * its own: a few at once, some waiting, the rest refused as `OVERLOADED`, so that sign-ins can't starve
 * token checks (C12).
 */
export class PasswordHasher {
  readonly #settings: Argon2Settings;
  readonly #log: Pick<Log, 'warn'>;
  readonly #tracer: Tracer;
  readonly #slots = Math.min(availableParallelism(), MAX_SLOTS);
  readonly #lane = bulkhead(this.#slots, Number.POSITIVE_INFINITY);
  readonly #turns = new Turns(WAITING_FOR_ONE_ACCOUNT, TOO_MANY_FOR_ONE_ACCOUNT);
  /** How long hashes take, without the wait for them. */
  readonly durations = new Durations(HASH_SECONDS);
  #admitted = 0;
  #running = 0;
  #decoy: Promise<string> | undefined;

  constructor(settings: Argon2Settings, log: Pick<Log, 'warn'>, tracer: Tracer = noTracer) {
    this.#settings = settings;
    this.#log = log;
    this.#tracer = tracer;
  }

  /**
   * Runs `work`, which checks or judges passwords, when nothing else does for the same `whose` (C17).
   * For sign-ins that is the address in its canonical form, with or without an account, since concurrent
   * calls must take equally long for every address (C04). For people who are signed in or hold a mailed
   * token it is the id of their account: they don't wait for strangers who try to sign in.
   *
   * Throws `OVERLOADED` if too many wait.
   */
  inTurn<T>(whose: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(whose, signal, work);
  }

  /** Hashes a password, normalised by NFKC, to a PHC string. */
  hash(password: string, signal: AbortSignal): Promise<string> {
    return this.#admit(() => this.#inLane(signal, () => hashPassword(password, this.#settings)));
  }

  /**
   * Finds a hash and checks whether the password matches it. `needsRehash` says that it matches and
   * that `hash` would make another kind of hash today.
   *
   * Without a hash (there is no such account), or with one that is of an unknown kind or can't be
   * checked, nothing matches, after as long as one of our own hashes takes (C04). Imported hashes take
   * their own time until they are renewed. `checkedAt` is when the check began, by `performance.now()`:
   * the time from then on depends on the account.
   *
   * Throws `OVERLOADED` before `find` is called, so that a flood of sign-ins can't use up the database.
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
      const isStale = matches && hash !== undefined && needsRehash(hash, this.#settings);
      return { ...found, matches, needsRehash: isStale, checkedAt };
    });
  }

  /** Whether the password matches any of these hashes: one admission, a turn for each check. */
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
    if (matches === undefined) await matchesHash(password, await this.#decoyHash());
    return matches ?? false;
  }

  /** Undefined for a hash that can't be checked, even if it looks as if it could. */
  async #matches(password: string, hash: string): Promise<boolean | undefined> {
    try {
      return await matchesHash(password, hash);
    } catch (error) {
      const fields = { component: 'passwords', ...errorFields(error), stack: undefined };
      this.#log.warn(fields, 'a password hash cannot be checked');
      return undefined;
    }
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
      throw new Failure(
        'exhausted',
        'OVERLOADED',
        'too many passwords are waiting to be checked; try again later',
        {
          retryAfterMs: 2000,
        },
      );
    }
    this.#admitted += 1;
    try {
      return await work();
    } finally {
      this.#admitted -= 1;
    }
  }

  /** How many callers wait for a place. */
  get waiting(): number {
    return Math.max(this.#admitted - this.#running, 0);
  }

  async #timed<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.durations.of().note((performance.now() - startedAt) / 1000);
    }
  }

  async #inLane<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#tracer.part(HASH, (span) => {
        const askedAt = performance.now();
        const run = () => {
          span?.set({ 'countersign.wait_ms': performance.now() - askedAt });
          return this.#timed(work);
        };
        return this.#lane.execute(run, signal);
      });
    } catch (error) {
      if (error instanceof TaskCancelledError && signal.aborted) throw signal.reason;
      throw error;
    }
  }
}
