import { type AuditEntry, auditEvent } from '../audit/audit-entry.ts';
import { type AuditEventRow, auditEventsIn } from '../audit/audit-event.repository.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Mail } from '../mail/templates.ts';
import type { Caller } from '../platform/caller.ts';
import { addMs, type Clock } from '../platform/clock.ts';
import type { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { RevocationCause } from '../revocations/revocation-cause.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import type { RepeatedTarget, RevocationTarget } from '../revocations/revocation-target.ts';

/** Thrown by a transaction's work to refuse the call but keep what the work has written. */
export class Refusal extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message, { cause: failure });
    this.name = 'Refusal';
    this.failure = failure;
  }
}

/**
 * One unit of work: everything it writes commits together or not at all, including audit events, mails
 * and revocations (E01, E02, S09). What has to follow the commit runs automatically.
 */
export class Transaction {
  readonly em: EntityManager;
  readonly caller: Caller;
  /** When the transaction began, before it took any lock: the time of the rows that it writes. */
  readonly now: Date;
  /** For what must be stamped in the order of locks: audit events, and tokens that void each other. */
  readonly clock: Clock;
  readonly #outbox: Outbox;
  readonly #revocations: RevocationFeed;
  readonly #afterCommit = new Set<() => void>();

  constructor(
    em: EntityManager,
    caller: Caller,
    clock: Clock,
    { outbox, revocations }: { outbox: Outbox; revocations: RevocationFeed },
  ) {
    this.em = em;
    this.caller = caller;
    this.clock = clock;
    this.now = clock.now();
    this.#outbox = outbox;
    this.#revocations = revocations;
  }

  /** Until when a revocation that is made now stays on record, by default. */
  get revokedUntil(): Date {
    return addMs(this.now, this.#revocations.keptMs);
  }

  /** Records an audit event of this change. */
  audit(entry: AuditEntry): void {
    auditEventsIn(this.em).add(this.auditEvent(entry));
  }

  /** Records the audit events of many changes in one statement. */
  async auditAll(entries: readonly AuditEntry[]): Promise<void> {
    await auditEventsIn(this.em).insertAll(entries.map((entry) => this.auditEvent(entry)));
  }

  /** Returns the row of an audit event, for a statement that writes it together with its change. */
  auditEvent(entry: AuditEntry): AuditEventRow {
    return auditEvent(this.clock.now(), this.caller, entry);
  }

  /** Queues a mail, which is sent if and only if this commits (E02). */
  async mail(mail: Mail): Promise<void> {
    await this.#outbox.send(this.em, mail);
    this.afterCommit(this.#outbox.wake);
  }

  /**
   * Revokes tokens. This replica refuses them from the commit on, and the others within a second (S09).
   * The revocation stays on record for `keptMs`; by default until the tokens have expired.
   */
  async revoke(
    targets: readonly RevocationTarget[],
    cause: RevocationCause,
    keptMs?: number,
  ): Promise<void> {
    if (targets.length === 0) return;
    this.afterCommit(await this.#revocations.revoke(this.em, targets, cause, keptMs));
  }

  /**
   * Announces again what was revoked before: for a call that repeats a revocation and finds nothing left
   * to change.
   */
  async repeatRevocation(which: readonly RepeatedTarget[] | { subject: string }): Promise<void> {
    this.afterCommit(await this.#revocations.repeat(this.em, which));
  }

  /** Revokes everything that was issued to a user or service account up to now. */
  async revokeSubject(id: string, cause: RevocationCause): Promise<void> {
    this.afterCommit(await this.#revocations.revokeSubject(this.em, id, cause));
  }

  /** Revokes everything that was issued to the holders of a role up to now. */
  async revokeHolders(role: string, cause: RevocationCause): Promise<void> {
    this.afterCommit(await this.#revocations.revokeHolders(this.em, role, cause));
  }

  /** Runs `action` after the commit; the same function runs only once. It must not throw. */
  afterCommit(action: () => void): void {
    this.#afterCommit.add(action);
  }

  /** Returns what to throw to refuse the call with a failure and commit what has been written. */
  refusal(failure: Failure): Refusal {
    return new Refusal(failure);
  }

  /** Runs the actions that follow the commit. */
  committed(): void {
    for (const action of this.#afterCommit) action();
  }
}
