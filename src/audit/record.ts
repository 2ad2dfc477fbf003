import { randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type AuditEventRow, auditEventsIn } from './audit-event.repository.ts';
import { canonicalJson } from './canonical-json.ts';

/** Of 32 bits: enough are left above it for the events of a millisecond. */
const SEQUENCE_START = 2 ** 31;

/** Every type that this version writes. docs/audit.md says when, and a test compares. */
export const AUDIT_EVENT_TYPES = [
  'account.code_refused',
  'account.created',
  'account.deleted',
  'account.email_change_requested',
  'account.email_changed',
  'account.email_verified',
  'account.exported',
  'account.invited',
  'account.locked',
  'account.mfa_disabled',
  'account.mfa_enabled',
  'account.mfa_enrollment_begun',
  'account.password_changed',
  'account.password_refused',
  'account.password_reset',
  'account.password_reset_requested',
  'account.password_reset_sent',
  'account.recovery_code_used',
  'account.recovery_codes_replaced',
  'account.reinstated',
  'account.secured',
  'account.suspended',
  'account.unlocked',
  'account.updated',
  'account.verification_requested',
  'api_key.created',
  'api_key.revoked',
  'api_key.rotated',
  'api_key.updated',
  'audit.events_deleted',
  'passkey.added',
  'passkey.counter_reversed',
  'passkey.removed',
  'passkey.renamed',
  'permission.created',
  'permission.deleted',
  'role.created',
  'role.deleted',
  'role.granted',
  'role.revoked',
  'role.updated',
  'service_account.created',
  'service_account.deleted',
  'session.created',
  'session.ended',
  'session.reauthenticated',
  'session.refresh_token_reused',
  'sessions.ended',
  'sign_in.challenged',
  'sign_in.failed',
  'signing_key.revoked',
  'signing_key.rotated',
  'users.exported',
  'users.imported',
] as const;

export type AuditEntry = {
  type: (typeof AUDIT_EVENT_TYPES)[number];
  actor?: string | undefined;
  subject?: string | undefined;
  outcome?: 'success' | 'failure';
  reason?: string;
  /** Nothing that names a person: it stays when the account is erased. */
  details?: Record<string, unknown>;
  /** What belongs to the subject alone and is erased with it, such as `before` and `after`. */
  personal?: Record<string, unknown>;
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
  auditEventsIn(em).add(auditEvent(clock, caller, entry));
}

let last = { msecs: 0, seq: 0 };

/** A UUIDv7 of the event's own time, and of this process in the order of making: ids are sorted by time. */
function eventId(occurredAt: Date): string {
  const msecs = occurredAt.getTime();
  last = { msecs, seq: msecs === last.msecs ? last.seq + 1 : randomInt(SEQUENCE_START) };
  return uuidv7(last);
}

/** The row of an event. */
export function auditEvent(clock: Clock, caller: Caller, entry: AuditEntry): AuditEventRow {
  const occurredAt = clock.now();
  const { principal } = caller;
  const isByPrincipal = principal !== undefined && principal.subject === entry.actor;
  return {
    id: eventId(occurredAt),
    occurredAt,
    type: entry.type,
    actor: entry.actor ?? null,
    actorType: entry.actor === undefined ? null : isByPrincipal ? principal.type : 'user',
    apiKeyId: (isByPrincipal && principal.apiKeyId) || null,
    subject: entry.subject ?? null,
    outcome: entry.outcome ?? ('success' as const),
    reason: entry.reason ?? null,
    ipAddress: caller.ipAddress || null,
    requestId: caller.requestId,
    details: entry.details ?? {},
    personal: entry.personal ? canonicalJson(entry.personal) : null,
  };
}

/** Writes the events of many changes in one statement, in the transaction that makes the changes. */
export async function recordAll(
  em: EntityManager,
  { clock }: { clock: Clock },
  caller: Caller,
  entries: readonly AuditEntry[],
): Promise<void> {
  await auditEventsIn(em).insertAll(entries.map((entry) => auditEvent(clock, caller, entry)));
}
