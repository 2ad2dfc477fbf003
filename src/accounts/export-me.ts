import { readKeys } from '../api-keys/api-key-view.ts';
import { AuditEvent } from '../audit/audit-event.entity.ts';
import { recordAudit } from '../audit/record.ts';
import { Passkey } from '../passkeys/passkey.entity.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Session } from '../sessions/session.entity.ts';
import { Account } from './account.entity.ts';
import type { GetMeDeps } from './get-me.ts';
import { readUser } from './user.ts';

/** Of each kind, the newest: what a message of 4 MB has room for. */
const ROWS = 5000;

/**
 * Everything that is held on the caller, as a JSON document in the proto's field names (C13). Secrets
 * and hashes of secrets are left out: they say nothing about anybody.
 */
export async function exportMe(
  deps: GetMeDeps,
  caller: Caller,
  accountId: string,
): Promise<string> {
  return deps.database.transaction(async (em) => {
    const { etag: _, ...user } = await readUser(em, accountId, deps.clock.now());
    const { externalId } = await em.findOneOrFail(Account, { id: accountId });
    const document = {
      exported_at: deps.clock.now(),
      user: inSnakeCase({ ...user, externalId }),
      sessions: await sessionsOf(em, accountId),
      passkeys: await passkeysOf(em, accountId),
      api_keys: await keysOf(em, accountId, deps.clock.now()),
      audit_events: await eventsOf(em, accountId),
    };
    recordAudit(em, deps, caller, {
      type: 'account.exported',
      actor: accountId,
      subject: accountId,
    });
    return JSON.stringify(document, null, 2);
  }, caller.signal);
}

async function sessionsOf(em: EntityManager, account: string) {
  const sessions = await em.find(Session, { account }, { orderBy: { id: 'desc' }, limit: ROWS });
  return sessions.map((session) =>
    inSnakeCase({
      sessionId: session.id,
      deviceLabel: session.deviceLabel,
      userAgent: session.userAgent,
      ipAddress: session.ipAddress,
      amr: session.amr,
      authTime: session.authTime,
      createdAt: session.createdAt,
      lastUsedAt: session.refreshedAt,
      expiresAt: session.expiresAt,
      endedAt: session.endedAt,
      endCause: session.endCause,
    }),
  );
}

async function passkeysOf(em: EntityManager, account: string) {
  const passkeys = await em.find(Passkey, { account }, { orderBy: { id: 'asc' } });
  return passkeys.map(({ id, displayName, synced, createdAt, lastUsedAt }) =>
    inSnakeCase({ passkeyId: id, displayName, synced, createdAt, lastUsedAt }),
  );
}

async function keysOf(em: EntityManager, ownerId: string, now: Date) {
  const keys = await readKeys(em, { ownerId, showRevoked: true, limit: ROWS, now });
  return keys.map(({ owner: _, etag: __, ...key }) => inSnakeCase(key));
}

async function eventsOf(em: EntityManager, subject: string) {
  const events = await em.find(AuditEvent, { subject }, { orderBy: { id: 'desc' }, limit: ROWS });
  return events.map((event) =>
    inSnakeCase({
      eventId: event.id,
      occurredAt: event.occurredAt,
      type: event.type,
      outcome: event.outcome,
      reason: event.reason,
      ipAddress: event.ipAddress,
      details: event.details,
      personal: event.personal ? JSON.parse(event.personal) : null,
    }),
  );
}

function inSnakeCase(record: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(record).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(entries);
}
