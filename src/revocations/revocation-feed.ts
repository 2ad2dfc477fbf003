import { setImmediate as turn } from 'node:timers/promises';
import { addMs, type Clock } from '../platform/clock.ts';
import type { DatabaseClock } from '../platform/database-clock.ts';
import { Durations } from '../platform/durations.ts';
import { FollowedTable, RECENT_MS } from '../platform/followed-table.ts';
import type { Log } from '../platform/log.ts';
import type { NewsListeners } from '../platform/news.ts';
import { Outages } from '../platform/outages.ts';
import type { Hints } from '../platform/redis-hints.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { NOWHERE } from '../platform/table-place.ts';
import { revocationsIn } from './revocation.repository.ts';
import type { RevocationCause } from './revocation-cause.ts';
import type { RevocationLog } from './revocation-log.ts';
import { RevocationMemory } from './revocation-memory.ts';
import type { CheckedToken } from './revocation-set.ts';
import type { RecordedRevocation, RepeatedTarget, RevocationTarget } from './revocation-target.ts';
import { tellHolders } from './tell-holders.ts';

/** S09 promises a quarter of a second for 99 of 100, and one second for all. */
const LAG_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;
/** How many watchers are woken before other calls get their turn. */
const WOKEN_AT_ONCE = 50;
/** From reading a subject's roles to the `iat` of the token issued by them, at most. */
const ISSUING_MS = 1000;
/** How far a replica's clock may be off the true time, either way. */
const CLOCK_OFF_MS = 5 * 60_000;
/** How much longer than a token: those who issue, revoke, forget and accept may all be off. */
const MARGIN_MS = 4 * CLOCK_OFF_MS;

type FeedParts = {
  database: SqlDatabase;
  log: Log;
  hints: Hints;
  clock: Clock;
  /** Gets the database's time with each look. */
  databaseClock?: Pick<DatabaseClock, 'note'>;
  keys: { drop(keyId: string): void };
  accessTokenTtlMs: number;
  stalenessLimitMs?: number;
};

/** This replica's memory of revocations, in step with the table. */
export class RevocationFeed extends FollowedTable {
  /** How long a revocation stays on record by default (ms): until its last token has expired. */
  readonly keptMs: number;
  /** Called when the log has grown. */
  readonly listeners: NewsListeners = new Map();
  /** The same for other memories of this replica, which do not count as watchers. */
  readonly followers = new Set<() => void>();
  /** When this replica could not look: it looks all the time, on the connections that calls use. */
  readonly outages = new Outages();
  /** How long revocations take from their statement until this replica refuses their tokens. */
  readonly lag = new Durations(LAG_SECONDS);
  readonly #parts: FeedParts;
  readonly #memory = new RevocationMemory();
  #place = NOWHERE;

  constructor(parts: FeedParts) {
    super('revocations', parts);
    this.#parts = parts;
    this.keptMs = parts.accessTokenTtlMs + MARGIN_MS;
  }

  /** When the last look was taken: microseconds by the database's clock. */
  get lookedAtMicros(): number {
    return this.#place.atMicros;
  }

  /** The revocations in force, for watchers. */
  get log(): RevocationLog {
    return this.#memory.log;
  }

  /** Whether a token has been revoked, as far as this replica has seen. */
  covers(token: CheckedToken): boolean {
    return this.#memory.set.covers(token);
  }

  /** Whether all tokens of a signing key have been revoked, as far as this replica has seen. */
  coversKey(keyId: string): boolean {
    return this.#memory.set.coversKey(keyId);
  }

  /**
   * Writes revocations in the transaction of their cause. They stay on record for `keptMs`. Returns
   * what to run once that has committed: this replica then refuses their tokens and tells the others
   * to look.
   */
  async revoke(
    em: EntityManager,
    targets: readonly RevocationTarget[],
    cause: RevocationCause,
    keptMs = this.keptMs,
  ): Promise<() => void> {
    const expiresAt = addMs(this.#parts.clock.now(), keptMs);
    await revocationsIn(em).record(targets, cause, expiresAt);
    return () => {
      for (const target of targets) this.#memory.set.add(target, expiresAt.getTime());
      this.#dropKeys(targets);
      this.tellOthers();
    };
  }

  /**
   * Revokes what was issued to the holders of a role, in the transaction that changes it. Leaves out
   * holders whose tokens have all expired. Returns what to run after the commit, which continues with the
   * holders that were too many for the transaction, or begins again by a later moment if the commit took so
   * long that tokens may have been issued by the earlier state after the first moment.
   */
  async revokeHolders(
    em: EntityManager,
    role: string,
    cause: RevocationCause,
  ): Promise<() => void> {
    const { database, log, clock } = this.#parts;
    const now = clock.now();
    const [activeSince, expiresAt] = [addMs(now, -this.keptMs), addMs(now, this.keptMs)];
    const revocation = { role, aheadMs: ISSUING_MS, activeSince, cause, expiresAt };
    const recordedAt = performance.now();
    const told = await revocationsIn(em).recordHolders(revocation);
    const tell = () => {
      void this.lookSoon();
      this.tellOthers();
    };
    return () => {
      tell();
      const isLate = performance.now() - recordedAt > ISSUING_MS - RECENT_MS;
      if (isLate) void tellHolders({ database, log, tell }, revocation, undefined);
      else if (!told.isLast) void tellHolders({ database, log, tell }, revocation, told);
    };
  }

  /**
   * Revokes what was issued to a subject that may do less from now on, in the transaction that records
   * the change. This includes whatever is issued from the earlier state until the commit: such tokens
   * have the version of the state they were issued from (S15). Returns what to run after the commit.
   */
  async revokeSubject(em: EntityManager, id: string, cause: RevocationCause): Promise<() => void> {
    const now = this.#parts.clock.now();
    const [notBefore, expiresAt] = [addMs(now, ISSUING_MS), addMs(now, this.keptMs)];
    const subject = { id, notBefore };
    const belowVersion = await revocationsIn(em).recordSubject(subject, cause, expiresAt);
    return () => {
      this.#memory.set.add({ kind: 'subject', ...subject, belowVersion }, expiresAt.getTime());
      this.tellOthers();
    };
  }

  /**
   * Announces again what was revoked before and is requested again: these targets, or everything of a
   * user or service account. A caller who asks again may have reason to think that someone didn't hear.
   * Returns what to run after the commit.
   */
  async repeat(
    em: EntityManager,
    which: readonly RepeatedTarget[] | { subject: string },
  ): Promise<() => void> {
    const now = this.#parts.clock.now();
    const revocations = revocationsIn(em);
    await ('subject' in which
      ? revocations.repeatAllOf(which.subject, now)
      : revocations.repeat(which, now));
    return () => {
      void this.lookSoon();
      this.tellOthers();
    };
  }

  protected override async readChanges(): Promise<void> {
    const { database, clock, databaseClock } = this.#parts;
    const sentAt = performance.now();
    const { place, found } = await database.look((em) =>
      revocationsIn(em).look(this.#place, clock.now()),
    );
    databaseClock?.note(place.atMicros / 1000, sentAt);
    const fresh = this.#memory.take(found, clock.now().getTime());
    // What was there before this replica was comes late, but keeps nobody waiting.
    if (this.#place !== NOWHERE) for (const each of fresh) this.#noteLag(each, place.atMicros);
    this.#dropKeys(found.map(({ target }) => target));
    this.#place = place;
    this.outages.noteContact(place.atMicros / 1000);
    if (fresh.length === 0) return;
    for (const follower of this.followers) follower();
    void this.#wakeListeners();
  }

  #noteLag({ createdAtMicros }: RecordedRevocation, seenAtMicros: number): void {
    this.lag.of().note(Math.max(seenAtMicros - createdAtMicros, 0) / 1_000_000);
  }

  /** Wakes some at a time, so that calls are answered in between however many there are. */
  async #wakeListeners(): Promise<void> {
    let woken = 0;
    for (const listener of [...this.listeners.keys()]) {
      listener();
      woken += 1;
      if (woken % WOKEN_AT_ONCE === 0) await turn();
    }
  }

  /** Stops this replica from signing with revoked keys and publishing them. */
  #dropKeys(targets: readonly RevocationTarget[]): void {
    for (const { kind, id } of targets) if (kind === 'signing_key') this.#parts.keys.drop(id);
  }

  /** Deletes some of the rows whose tokens have all expired. Returns whether there may be more. */
  forgetExpired(): Promise<boolean> {
    const { database, clock } = this.#parts;
    return database.read((em) => revocationsIn(em).forgetExpired(clock.now()));
  }
}
