import { v7 as uuidv7 } from 'uuid';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { EntityManager } from '../platform/database.ts';
import { AuditEvent } from './audit-event.entity.ts';

type AuditEventType =
  | 'account.created'
  | 'account.deleted'
  | 'account.email_changed'
  | 'account.email_verified'
  | 'account.exported'
  | 'account.locked'
  | 'account.mfa_disabled'
  | 'account.mfa_enabled'
  | 'account.password_changed'
  | 'account.password_reset'
  | 'account.recovery_code_used'
  | 'account.recovery_codes_replaced'
  | 'account.secured'
  | 'account.updated'
  | 'passkey.added'
  | 'passkey.counter_reversed'
  | 'passkey.removed'
  | 'session.created'
  | 'session.ended'
  | 'session.reauthenticated'
  | 'session.refresh_token_reused'
  | 'sessions.ended'
  | 'sign_in.failed';

export type AuditEntry = {
  type: AuditEventType;
  actor?: string | undefined;
  subject?: string | undefined;
  outcome?: 'success' | 'failure';
  reason?: string;
  details?: Record<string, unknown>;
};

/**
 * Adds an event to the unit of work of `em`, so that it is written with the change it tells of, or
 * not at all.
 */
export function recordAudit(
  em: EntityManager,
  { clock }: { clock: Clock },
  caller: Caller,
  entry: AuditEntry,
): void {
  em.persist(em.create(AuditEvent, auditEvent(clock, caller, entry)));
}

/** The row of an event. */
export function auditEvent(clock: Clock, caller: Caller, entry: AuditEntry) {
  return {
    id: uuidv7(),
    occurredAt: clock.now(),
    type: entry.type,
    actor: entry.actor ?? null,
    subject: entry.subject ?? null,
    outcome: entry.outcome ?? ('success' as const),
    reason: entry.reason ?? null,
    ipAddress: caller.ipAddress,
    requestId: caller.requestId,
    details: entry.details ?? {},
  };
}

/**
 * The statement that inserts an event, to be part of one that makes the change it tells of: one round
 * trip for both. Its parameters are numbered from `first`.
 */
export function auditInsert(
  row: ReturnType<typeof auditEvent>,
  first: number,
): { sql: string; parameters: unknown[] } {
  const columns = {
    id: row.id,
    occurred_at: row.occurredAt,
    type: row.type,
    actor: row.actor,
    subject: row.subject,
    outcome: row.outcome,
    reason: row.reason,
    ip_address: row.ipAddress,
    request_id: row.requestId,
    details: JSON.stringify(row.details),
  };
  const places = Object.keys(columns).map((_, index) => `$${first + index}`);
  return {
    sql: `insert into audit_events (${Object.keys(columns).join(', ')}) values (${places.join(', ')})`,
    parameters: Object.values(columns),
  };
}
