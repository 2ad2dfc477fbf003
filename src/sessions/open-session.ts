import { v7 as uuidv7 } from 'uuid';
import { auditEvent } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type AccessTokenDeps, issueAccessToken, type TokenSettings } from './access-token.ts';
import {
  firstRefreshSecret,
  formatRefreshToken,
  type RefreshSecret,
  refreshHash,
} from './refresh-secret.ts';
import { type RefreshedSession, sessionsIn } from './session.repository.ts';

type SessionSettings = TokenSettings & { sessionTtlMs: number; sessionIdleTtlMs: number };

export type SessionDeps = AccessTokenDeps & { keyring: Keyring; tokens: SessionSettings };

export type IssuedTokens = {
  accessToken: string;
  expiresAt: Date;
  refreshToken: string;
  refreshExpiresAt: Date;
  sessionId: string;
};

export type SignIn = {
  account: { id: string; roles: readonly string[]; isVerified: boolean };
  /** RFC 8176. */
  amr: string[];
  deviceLabel: string;
};

/** Opens a session in the transaction of `em`, with its audit event, and issues its first tokens. */
export async function openSession(
  em: EntityManager,
  deps: SessionDeps,
  caller: Caller,
  { account, amr, deviceLabel }: SignIn,
): Promise<IssuedTokens> {
  const { clock, keyring, tokens } = deps;
  const now = clock.now();
  const id = uuidv7();
  const refresh = firstRefreshSecret(keyring, id);
  const expiresAt = addMs(now, tokens.sessionTtlMs);
  const event = auditEvent(clock, caller, {
    type: 'session.created',
    actor: account.id,
    subject: account.id,
    details: { session_id: id, amr },
  });
  await sessionsIn(em).open(
    {
      id,
      accountId: account.id,
      deviceLabel,
      userAgent: caller.userAgent.slice(0, 500),
      ipAddress: caller.ipAddress,
      amr,
      now,
      expiresAt,
      refresh: { ...refresh, hash: refreshHash(keyring, refresh) },
    },
    event,
  );
  const session = {
    sessionId: id,
    accountId: account.id,
    amr,
    authTime: now,
    refreshedAt: now,
    expiresAt,
    roles: [...account.roles],
    emailVerified: account.isVerified,
  };
  return issueTokens(deps, session, refresh);
}

/** The pair of tokens for a session's live generation. */
export async function issueTokens(
  deps: SessionDeps,
  session: RefreshedSession,
  refresh: RefreshSecret,
): Promise<IssuedTokens> {
  const idleEnd = session.refreshedAt.getTime() + deps.tokens.sessionIdleTtlMs;
  return {
    ...(await issueAccessToken(deps, session)),
    refreshToken: formatRefreshToken(deps.keyring, refresh),
    refreshExpiresAt: new Date(Math.min(idleEnd, session.expiresAt.getTime())),
    sessionId: session.sessionId,
  };
}
