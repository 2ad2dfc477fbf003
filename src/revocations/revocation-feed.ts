import { setImmediate as turn } from 'node:timers/promises';
import { addMs, type Clock } from '../platform/clock.ts';
import { FollowedTable, type FollowedTableDeps } from '../platform/followed-table.ts';
import type { EntityManager } from '../platform/sql.ts';
import { revocationsIn } from './revocation.repository.ts';
import type { RevocationCause } from './revocation-cause.ts';
import type { RevocationLog } from './revocation-log.ts';
import { RevocationMemory } from './revocation-memory.ts';
import type { CheckedToken } from './revocation-set.ts';
import type { RevocationTarget } from './revocation-target.ts';

/** So many of those who read are woken at once. */
const WOKEN_AT_ONCE = 50;
/** From reading somebody's roles to the time in the token that is issued by them, at most. */
const ISSUING_MS = 1000;
/** How far a clock may be off, either way: that of a replica from the true time. */
const CLOCK_OFF_MS = 5 * 60_000;
/**
 * How much longer a revocation is kept than a token lasts. Whoever issued the token may be ahead,
 * whoever revoked it behind; who forgets is ahead, and who still takes the token is behind.
 */
const MARGIN_MS = 4 * CLOCK_OFF_MS;

export type FeedDeps = FollowedTableDeps & {
  clock: Clock;
  /** The signing keys of this replica. */
  keys: { drop(keyId: string): void };
  accessTokenTtlMs: number;
};

/** This replica's memory of revocations, in step with the table. */
export class RevocationFeed extends FollowedTable {
  /** How long a revocation stays on record (ms) that says nothing else: until the last token it can concern has expired. */
  readonly keptMs: number;
  /** When the last look was taken: microseconds by the database's clock. */
  lookedAtMicros = 0;
  /** Called when the log has grown. */
  readonly listeners = new Set<() => void>();
  /** The same, for what else of this replica follows; it is not counted among those who watch. */
  readonly followers = new Set<() => void>();
  readonly #deps: FeedDeps;
  readonly #memory = new RevocationMemory();

  constructor(deps: FeedDeps) {
    super('revocations', deps);
    this.#deps = deps;
    this.keptMs = deps.accessTokenTtlMs + MARGIN_MS;
  }

  /** What watchers read. */
  get log(): RevocationLog {
    return this.#memory.log;
  }

  /** Whether a token has been revoked, as far as this replica has seen. */
  covers(token: CheckedToken): boolean {
    return this.#memory.set.covers(token);
  }

  /** Whether all tokens of a key have been. */
  coversKey(keyId: string): boolean {
    return this.#memory.set.coversKey(keyId);
  }

  /**
   * Writes revocations in the transaction of their cause, and gives what to do once that has
   * committed: this replica refuses their tokens at once, the others are told to look. They stay on
   * record for `keptMs`.
   */
  async revoke(
    em: EntityManager,
    targets: readonly RevocationTarget[],
    cause: RevocationCause,
    keptMs = this.keptMs,
  ): Promise<() => void> {
    const expiresAt = addMs(this.#deps.clock.now(), keptMs);
    await revocationsIn(em).record(targets, cause, expiresAt);
    return () => {
      for (const target of targets) this.#memory.set.add(target, expiresAt.getTime());
      this.#dropKeys(targets);
      this.tellOthers();
    };
  }

  /**
   * Revokes what was issued to whoever has a role, in the transaction that changes it. Those whose
   * tokens have all expired are left out.
   */
  async revokeHolders(
    em: EntityManager,
    role: string,
    cause: RevocationCause,
  ): Promise<() => void> {
    const now = this.#deps.clock.now();
    const activeSince = addMs(now, -this.keptMs);
    const until = { notBefore: addMs(now, ISSUING_MS), activeSince };
    await revocationsIn(em).recordHolders(role, until, cause, addMs(now, this.keptMs));
    return () => {
      void this.lookSoon();
      this.tellOthers();
    };
  }

  /**
   * Revokes what was issued to somebody who may do less from now on, in the transaction that says so;
   * and what is being issued at this moment, by what was so before.
   */
  revokeSubject(em: EntityManager, id: string, cause: RevocationCause): Promise<() => void> {
    const notBefore = addMs(this.#deps.clock.now(), ISSUING_MS);
    return this.revoke(em, [{ kind: 'subject', id, notBefore }], cause);
  }

  /** Revokes what was issued in these sessions. */
  revokeSessions(
    em: EntityManager,
    sessionIds: readonly string[],
    cause: RevocationCause,
  ): Promise<() => void> {
    return this.revoke(em, sessionIds.map(sessionTarget), cause);
  }

  protected override async readChanges(): Promise<void> {
    const { database, clock } = this.#deps;
    const since = this.lookedAtMicros - this.overlapMs * 1000;
    const { lookedAtMicros, found } = await database.read((em) =>
      revocationsIn(em).look(since, clock.now()),
    );
    const grown = this.#memory.take(found, clock.now().getTime());
    this.#dropKeys(found.map(({ target }) => target));
    this.lookedAtMicros = lookedAtMicros;
    if (!grown) return;
    for (const follower of this.followers) follower();
    void this.#wakeListeners();
  }

  /** Some at a time, so that calls are answered in between however many there are. */
  async #wakeListeners(): Promise<void> {
    let woken = 0;
    for (const listener of [...this.listeners]) {
      listener();
      woken += 1;
      if (woken % WOKEN_AT_ONCE === 0) await turn();
    }
  }

  /** A revoked key is to sign and be published no more, as soon as its tokens are refused. */
  #dropKeys(targets: readonly RevocationTarget[]): void {
    for (const { kind, id } of targets) if (kind === 'signing_key') this.#deps.keys.drop(id);
  }

  /** Deletes some of the rows that no valid token can concern. Says whether there may be more. */
  forgetExpired(): Promise<boolean> {
    const { database, clock } = this.#deps;
    return database.read((em) => revocationsIn(em).forgetExpired(clock.now()));
  }
}

const sessionTarget = (id: string): RevocationTarget => ({ kind: 'session', id });
