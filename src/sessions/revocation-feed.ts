import { v7 as uuidv7 } from 'uuid';
import { addMs, type Clock } from '../platform/clock.ts';
import { type Database, type EntityManager, query, timestamp } from '../platform/database.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { Hints } from '../platform/redis-hints.ts';
import { Revocation } from './revocation.entity.ts';
import { RevocationSet } from './revocation-set.ts';

const CHANNEL = 'countersign:revocations';
const POLL_MS = 250;
/** Rows become visible when they commit, which may be this much later than they were stamped. */
const OVERLAP_MS = 10_000;
/** Without a look at the table for this long, memory alone is not trusted any more. */
const STALE_AFTER_MS = 10_000;
const MARGIN_MS = 60_000;
const FORGET_BATCH = 1000;

export type RevocationCause =
  | 'logout'
  | 'refresh_token_reused'
  | 'password_changed'
  | 'password_reset'
  | 'email_changed'
  | 'mfa_enabled'
  | 'account_secured'
  | 'account_deleted';

export type FeedDeps = {
  database: Database;
  clock: Clock;
  log: Log;
  hints: Hints;
  accessTokenTtlMs: number;
};

type Row = { target: string; createdAt: string; expiresAt: string };

/**
 * Keeps this replica's set of revocations in step with the table, which is the record. It looks four
 * times a second; a hint from the replica that revoked makes it look at once.
 */
export class RevocationFeed {
  readonly #deps: FeedDeps;
  readonly #set = new RevocationSet();
  #cursor = new Date(0);
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FeedDeps) {
    this.#deps = deps;
  }

  /** Reads all revocations in force, and follows the table from then on. */
  async start(): Promise<void> {
    await this.look();
    this.#deps.hints.subscribe(CHANNEL, () => void this.#lookAfresh());
    this.#timer = setInterval(() => void this.#tryToLook(), POLL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether the session has been ended, as far as this replica has seen. */
  hasSession(sessionId: string): boolean {
    return this.#set.hasSession(sessionId);
  }

  get isStale(): boolean {
    return performance.now() - this.#lookedAt > STALE_AFTER_MS;
  }

  /**
   * Writes the revocations of sessions in the transaction that ends them, and gives what to do once
   * that has committed: this replica refuses their tokens at once, the others are told to look.
   */
  async revokeSessions(
    em: EntityManager,
    sessionIds: readonly string[],
    cause: RevocationCause,
  ): Promise<() => void> {
    const { clock, accessTokenTtlMs, hints } = this.#deps;
    const expiresAt = addMs(clock.now(), accessTokenTtlMs + MARGIN_MS);
    const rows = sessionIds.map((target) => {
      return { id: uuidv7(), kind: 'session' as const, target, cause, expiresAt };
    });
    if (rows.length > 0) await em.insertMany(Revocation, rows);
    return () => {
      for (const id of sessionIds) this.#set.addSession(id, expiresAt.getTime());
      hints.publish(CHANNEL);
    };
  }

  /** A look that is under way may have missed what has just been announced. */
  async #lookAfresh(): Promise<void> {
    await this.#looking?.catch(() => {});
    await this.#tryToLook();
  }

  async #tryToLook(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      this.#deps.log.debug({ component: 'revocations', ...errorFields(error) }, 'not followed');
    }
  }

  /** Brings the set up to date; several at once share one look. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { database, clock } = this.#deps;
    const startedAt = performance.now();
    const rows = await database.read((em) =>
      query<Row>(
        em,
        `select target, created_at as "createdAt", expires_at as "expiresAt" from revocations
         where created_at > $1 and expires_at > $2 order by created_at`,
        [addMs(this.#cursor, -OVERLAP_MS), clock.now()],
      ),
    );
    for (const row of rows) {
      this.#set.addSession(row.target, timestamp(row.expiresAt).getTime());
      this.#cursor = timestamp(row.createdAt);
    }
    this.#lookedAt = startedAt;
    this.#set.forgetExpired(clock.now().getTime());
  }

  /** Deletes some of the rows that no valid token can concern. Says whether there may be more. */
  async forgetExpired(): Promise<boolean> {
    const { database, clock } = this.#deps;
    const gone = await database.read((em) =>
      query(
        em,
        `delete from revocations where id in
         (select id from revocations where expires_at <= $1 limit ${FORGET_BATCH}) returning 1`,
        [clock.now()],
      ),
    );
    return gone.length === FORGET_BATCH;
  }
}
