import { randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Caller } from '../platform/caller.ts';
import type { AuditEventRow } from './audit-event.repository.ts';
import { canonicalJson } from './canonical-json.ts';

/** The sequence has 32 bits: enough are left above this for the events of a millisecond. */
const SEQUENCE_START = 2 ** 31;

/** Every type that this version writes. docs/audit.md says when; a test compares the two. */
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
  'identity.linked',
  'identity.unlinked',
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
  'token.exchanged',
  'token.revoked',
  'users.exported',
  'users.imported',
  'webhook.created',
  'webhook.deleted',
  'webhook.disabled',
  'webhook.redelivered',
  'webhook.secret_rotated',
  'webhook.tested',
  'webhook.updated',
] as const;

export type AuditEntry = {
  type: (typeof AUDIT_EVENT_TYPES)[number];
  /** The id of the account that acted; null if nobody is signed in. By default the caller's. */
  actor?: string | null | undefined;
  subject?: string | undefined;
  outcome?: 'success' | 'failure';
  reason?: string;
  /** Must not name a person: it stays when the account is erased. */
  details?: Record<string, unknown>;
  /** Belongs to the subject alone and is erased with it: `before` and `after`, for example. */
  personal?: Record<string, unknown>;
};

let last = { msecs: 0, seq: 0 };

/**
 * Returns a UUIDv7 of the event's own time. Within this process ids ascend in the order of creation.
 */
function eventId(occurredAt: Date): string {
  const msecs = occurredAt.getTime();
  last = { msecs, seq: msecs === last.msecs ? last.seq + 1 : randomInt(SEQUENCE_START) };
  return uuidv7(last);
}

/** Returns the row of an event that happened `at` this time. */
export function auditEvent(at: Date, caller: Caller, entry: AuditEntry): AuditEventRow {
  const actor = entry.actor === undefined ? caller.subject || null : entry.actor;
  const isByCaller = actor !== null && actor === caller.subject;
  return {
    id: eventId(at),
    occurredAt: at,
    type: entry.type,
    actor,
    actorType: actor === null ? null : isByCaller ? caller.kind : 'user',
    // Who acts for the caller does so with its own key.
    apiKeyId: (isByCaller && (caller.actors[0]?.apiKeyId || caller.apiKeyId)) || null,
    subject: entry.subject ?? null,
    outcome: entry.outcome ?? 'success',
    reason: entry.reason ?? null,
    ipAddress: caller.ipAddress || null,
    requestId: caller.requestId,
    details: entry.details ?? {},
    personal: entry.personal ? canonicalJson(entry.personal) : null,
  };
}
