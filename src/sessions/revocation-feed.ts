import { addMs, type Clock } from '../platform/clock.ts';
import type { Database, EntityManager } from '../platform/database.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { Hints } from '../platform/redis-hints.ts';
import { Revocation } from './revocation.entity.ts';
import type { RevocationCause } from './revocation-cause.ts';
import type { RevocationLog } from './revocation-log.ts';
import { RevocationMemory } from './revocation-memory.ts';
import type { CheckedToken } from './revocation-set.ts';
import type { RevocationTarget } from './revocation-target.ts';

const CHANNEL = 'countersign:revocations';
const POLL_MS = 250;
const LEAST_OVERLAP_MS = 10_000;
/** Without a look at the table for this long, memory alone is not trusted any more. */
const STALE_AFTER_MS = 10_000;
const MARGIN_MS = 60_000;

export type FeedDeps = {
  database: Database;
  clock: Clock;
  log: Log;
  hints: Hints;
  accessTokenTtlMs: number;
};

/**
 * Keeps this replica's memory of revocations in step with the table, which is the record. It looks
 * four times a second; a hint from the replica that revoked makes it look at once.
 */
export class RevocationFeed {
  /**
   * Rows become visible when they commit, which may be this much later (ms) than they were stamped:
   * a transaction and then its commit are each given the database's time limit.
   */
  readonly overlapMs: number;
  /** How long a revocation stays on record (ms): until the last token it can concern has expired. */
  readonly keptMs: number;
  /** When the last look was taken: microseconds by the database's clock. */
  lookedAtMicros = 0;
  /** Called when the log has grown. */
  readonly listeners = new Set<() => void>();
  readonly #deps: FeedDeps;
  readonly #memory = new RevocationMemory();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FeedDeps) {
    this.#deps = deps;
    this.overlapMs = Math.max(LEAST_OVERLAP_MS, 2 * deps.database.limitMs);
    this.keptMs = deps.accessTokenTtlMs + MARGIN_MS;
  }

  /** What watchers read. */
  get log(): RevocationLog {
    return this.#memory.log;
  }

  /** Reads all revocations in force, and follows the table from then on. */
  async start(): Promise<void> {
    await this.look();
    // It may be started again, where what is started after it failed.
    this.stop();
    this.#deps.hints.subscribe(CHANNEL, () => void this.#tryTo(() => this.lookAfresh()));
    this.#timer = setInterval(() => void this.#tryTo(() => this.look()), POLL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether a token has been revoked, as far as this replica has seen. */
  covers(token: CheckedToken): boolean {
    return this.#memory.set.covers(token);
  }

  get isStale(): boolean {
    return performance.now() - this.#lookedAt > STALE_AFTER_MS;
  }

  /**
   * Writes revocations in the transaction of their cause, and gives what to do once that has
   * committed: this replica refuses their tokens at once, the others are told to look.
   */
  async revoke(
    em: EntityManager,
    targets: readonly RevocationTarget[],
    cause: RevocationCause,
  ): Promise<() => void> {
    const expiresAt = addMs(this.#deps.clock.now(), this.keptMs);
    await em.getRepository(Revocation).record(targets, cause, expiresAt);
    return () => {
      for (const target of targets) this.#memory.set.add(target, expiresAt.getTime());
      this.#deps.hints.publish(CHANNEL);
    };
  }

  /** Revokes what was issued in these sessions. */
  revokeSessions(
    em: EntityManager,
    sessionIds: readonly string[],
    cause: RevocationCause,
  ): Promise<() => void> {
    return this.revoke(em, sessionIds.map(sessionTarget), cause);
  }

  /** Looks at the table as it is now: a look that is under way may have missed what has just come. */
  async lookAfresh(): Promise<void> {
    await this.#looking?.catch(() => {});
    await this.look();
  }

  async #tryTo(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#deps.log.debug({ component: 'revocations', ...errorFields(error) }, 'not followed');
    }
  }

  /** Brings memory up to date; several at once share one look. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { database, clock } = this.#deps;
    const startedAt = performance.now();
    const since = this.lookedAtMicros - this.overlapMs * 1000;
    const { lookedAtMicros, found } = await database.read((em) =>
      em.getRepository(Revocation).look(since, clock.now()),
    );
    const grown = this.#memory.take(found, clock.now().getTime());
    this.lookedAtMicros = lookedAtMicros;
    this.#lookedAt = startedAt;
    if (grown) for (const listener of this.listeners) listener();
  }

  /** Deletes some of the rows that no valid token can concern. Says whether there may be more. */
  forgetExpired(): Promise<boolean> {
    const { database, clock } = this.#deps;
    return database.read((em) => em.getRepository(Revocation).forgetExpired(clock.now()));
  }
}

const sessionTarget = (id: string): RevocationTarget => ({ kind: 'session', id });
