import { v7 as uuidv7 } from 'uuid';
import type { AuditEntry } from '../audit/audit-entry.ts';
import type { Caller } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { firstRefreshSecret, type RefreshSecret, refreshHash } from './refresh-secret.ts';
import type { NewSession, SessionOwner } from './session.repository.ts';
import type { RefreshedSession } from './session-refresh.repository.ts';

const MAX_USER_AGENT_LENGTH = 500;

/** A session that has not been written yet, with its first refresh token. */
export type OpenedSession = NewSession & {
  amr: string[];
  refresh: RefreshSecret;
};

type BeganBy = {
  accountId: string;
  amr: string[];
  idp?: string | undefined;
  provedAt?: Date;
  deviceLabel: string;
};

/** Makes the session of a sign-in that is complete. `amr` is how it was proved (RFC 8176). */
export function newSession(
  { keyring, now, ttlMs }: { keyring: Keyring; now: Date; ttlMs: number },
  { userAgent, ipAddress, inBrowser }: Caller,
  signIn: BeganBy,
): OpenedSession {
  const { accountId, amr, idp = null, provedAt = now, deviceLabel } = signIn;
  const id = uuidv7();
  const refresh = firstRefreshSecret(keyring, id);
  return {
    id,
    accountId,
    deviceLabel,
    userAgent: userAgent.slice(0, MAX_USER_AGENT_LENGTH),
    ipAddress,
    amr,
    idp,
    provedAt,
    now,
    expiresAt: addMs(now, ttlMs),
    inBrowser,
    refresh: { ...refresh, hash: refreshHash(keyring, refresh) },
  };
}

/** The audit event of a new session. */
export function openingOf({ id, accountId, amr, idp }: OpenedSession): AuditEntry {
  return {
    type: 'session.created',
    actor: accountId,
    subject: accountId,
    details: { session_id: id, amr, ...(idp === null ? {} : { idp }) },
  };
}

/** What the first tokens of a new session say. */
export function grantOf(
  { id, accountId, amr, idp, provedAt, now, expiresAt }: OpenedSession,
  { roles, tokenVersion, isVerified }: Readonly<SessionOwner>,
): RefreshedSession {
  return {
    sessionId: id,
    accountId,
    amr,
    idp,
    authTime: provedAt,
    refreshedAt: now,
    expiresAt,
    roles: [...roles],
    tokenVersion,
    emailVerified: isVerified,
  };
}
