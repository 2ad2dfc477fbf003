import { readKeys } from '../api-keys/api-key-view.ts';
import { AuditEvent } from '../audit/audit-event.entity.ts';
import { Identity } from '../federation/identity.entity.ts';
import { scopeUsesIn } from '../mesh/scope-use.repository.ts';
import { ShadowDenial } from '../mesh/shadow-denial.entity.ts';
import { Passkey } from '../passkeys/passkey.entity.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Session } from '../sessions/session.entity.ts';
import type { Database } from '../unit-of-work/database.ts';
import { accountsIn } from './account.repository.ts';
import { readUser } from './user.ts';

/** How many of each kind are exported, the newest first: a message of 4 MB has room for no more. */
const ROWS = 5000;

/**
 * Returns everything that is stored about the caller, as a JSON document in the proto's field names
 * (C13). Secrets and hashes of secrets are left out: they say nothing about anyone. So is data about
 * others.
 */
export async function exportMe(
  { database }: { database: Database },
  caller: Caller,
): Promise<string> {
  const { subject: accountId } = caller;
  return database.transaction(caller, async (tx) => {
    const { em, now } = tx;
    const { etag: _, ...user } = await readUser(em, accountId, now);
    const { externalId } = await accountsIn(em).findOneOrFail({ id: accountId });
    const document = {
      exported_at: now,
      user: inSnakeCase({ ...user, externalId }),
      sessions: await sessionsOf(em, accountId),
      passkeys: await passkeysOf(em, accountId),
      identities: await identitiesOf(em, accountId),
      api_keys: await keysOf(em, accountId, now),
      shadow_denials: await denialsOf(em, accountId),
      audit_events: await eventsOf(em, accountId),
    };
    tx.audit({ type: 'account.exported', subject: accountId });
    return JSON.stringify(document, null, 2);
  });
}

async function sessionsOf(em: EntityManager, account: string) {
  const sessions = await em.find(Session, { account }, { orderBy: { id: 'desc' }, limit: ROWS });
  return sessions.map((session) =>
    inSnakeCase({
      sessionId: session.id,
      deviceLabel: session.deviceLabel,
      userAgent: session.userAgent,
      ipAddress: session.ipAddress,
      inBrowser: session.inBrowser,
      amr: session.amr,
      identityProvider: session.idp,
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

async function identitiesOf(em: EntityManager, account: string) {
  const identities = await em.find(Identity, { account }, { orderBy: { id: 'asc' } });
  return identities.map(({ id, provider, issuer, subject, email, createdAt, lastUsedAt }) =>
    inSnakeCase({ identityId: id, provider, issuer, subject, email, createdAt, lastUsedAt }),
  );
}

async function keysOf(em: EntityManager, ownerId: string, now: Date) {
  const keys = await readKeys(em, { ownerId, showRevoked: true, limit: ROWS, now });
  const days = await scopeUsesIn(em).ofKeys(keys.map(({ apiKeyId }) => apiKeyId));
  const daysOf = Map.groupBy(days, ({ apiKeyId }) => apiKeyId);
  return keys.map(({ owner: _, etag: __, ...key }) => ({
    ...inSnakeCase(key),
    scope_uses: daysOf.get(key.apiKeyId)?.map(({ apiKeyId: _, ...use }) => inSnakeCase(use)) ?? [],
  }));
}

async function denialsOf(em: EntityManager, subject: string) {
  const denials = await em.find(
    ShadowDenial,
    { subject },
    { orderBy: { id: 'desc' }, limit: ROWS },
  );
  return denials.map(({ rule, reason, apiKeyId, count, firstAt, lastAt }) =>
    inSnakeCase({ rule, reason, apiKeyId, count, firstAt, lastAt }),
  );
}

/** Leaves out data about others: where an administrator was, and the reasons they noted. */
async function eventsOf(em: EntityManager, subject: string) {
  const events = await em.find(AuditEvent, { subject }, { orderBy: { id: 'desc' }, limit: ROWS });
  return events.map((event) => {
    const { reason: _, ...personal } = event.personal ? JSON.parse(event.personal) : {};
    const isByAnother = event.actor !== null && event.actor !== subject;
    return inSnakeCase({
      eventId: event.id,
      occurredAt: event.occurredAt,
      type: event.type,
      outcome: event.outcome,
      reason: event.reason,
      ipAddress: isByAnother ? null : event.ipAddress,
      details: event.details,
      personal: Object.keys(personal).length > 0 ? personal : null,
    });
  });
}

function inSnakeCase(record: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(record).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(entries);
}
