import { LockMode } from '@mikro-orm/core';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import { equalInConstantTime } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { type IssuedTokens, issueTokens, type SessionDeps } from './open-session.ts';
import {
  parseRefreshToken,
  type RefreshSecret,
  refreshHash,
  successorOf,
} from './refresh-secret.ts';
import { Session } from './session.entity.ts';
import { type RefreshedSession, sessionsIn } from './session.repository.ts';

/** How long a client that lost the answer may ask again (S06). */
const GRACE_MS = 10_000;

export type RefreshDeps = SessionDeps &
  NoticeDeps & { database: SqlDatabase; revocations: RevocationFeed };

/**
 * Exchanges a refresh token for the next pair of tokens, in one statement.
 *
 * A token has one successor (S05). Presented again within the grace time it gives the identical
 * successor, as long as that has not been used (S06); presented later it ends the session, which is
 * audited and mailed (S07). The roles are read anew, so that nothing survives that was taken away
 * (S08).
 */
export async function refreshToken(
  deps: RefreshDeps,
  caller: Caller,
  presented: string,
): Promise<IssuedTokens> {
  const { database, clock, keyring, tokens } = deps;
  const token = parseRefreshToken(keyring, presented);
  if (!token) throw refused('TOKEN_INVALID', 'the refresh token is not valid');
  const successor = successorOf(keyring, token);
  const now = clock.now();
  const session = await database.read(
    (em) =>
      sessionsIn(em).rotate({
        sessionId: token.sessionId,
        generation: token.generation,
        hash: refreshHash(keyring, token),
        keyVersion: token.keyVersion,
        successor: { hash: refreshHash(keyring, successor), keyVersion: successor.keyVersion },
        now,
        idleSince: addMs(now, -tokens.sessionIdleTtlMs),
      }),
    caller.signal,
  );
  if (session) return issueTokens(deps, session, successor);
  const verdict = await database.transaction((em) => judge(em, deps, caller, token), caller.signal);
  verdict.afterCommit?.();
  if (verdict.failure) throw verdict.failure;
  return issueTokens(deps, verdict.session, verdict.successor);
}

type Verdict =
  | { failure: Failure; afterCommit?: () => void }
  | { failure?: never; afterCommit?: never; session: RefreshedSession; successor: RefreshSecret };

/** Why a token was not the live one. The refusal is returned, so that what it leaves commits. */
async function judge(
  em: EntityManager,
  deps: RefreshDeps,
  caller: Caller,
  token: RefreshSecret,
): Promise<Verdict> {
  const { clock, tokens } = deps;
  const now = clock.now();
  const { account, session } = await lock(em, token.sessionId);
  if (!session || token.generation > session.refreshGeneration) {
    return { failure: refused('TOKEN_INVALID', 'the refresh token is not valid') };
  }
  if (session.endedAt) {
    return { failure: refused('TOKEN_REVOKED', 'the session has been ended') };
  }
  if (!session.isLive(now, tokens.sessionIdleTtlMs)) {
    return { failure: refused('TOKEN_EXPIRED', 'the session is over; sign in again') };
  }
  const current = await sessionsIn(em).findRefreshed(session.id);
  if (!current || token.generation === session.refreshGeneration) {
    return { failure: refused('TOKEN_REVOKED', 'the account may not sign in') };
  }
  const successor = successorOf(deps.keyring, token, session.refreshKeyVersion);
  const isLive =
    successor.generation === session.refreshGeneration &&
    equalInConstantTime(refreshHash(deps.keyring, successor), session.refreshHash);
  if (isLive && now <= addMs(session.refreshedAt, GRACE_MS)) return { session: current, successor };
  return raiseAlarm(em, deps, caller, session, account);
}

/** The session with its account: first the account, as everybody does who changes its sessions. */
async function lock(em: EntityManager, id: string) {
  const found = await em.findOne(Session, { id });
  if (!found) return { account: null, session: null };
  const account = await accountsIn(em).lockLive({ id: found.account as string });
  await em.refresh(found, { lockMode: LockMode.PESSIMISTIC_WRITE });
  return { account, session: found };
}

/** Somebody holds a copy: the session ends for everybody who holds a token of it. */
async function raiseAlarm(
  em: EntityManager,
  deps: RefreshDeps,
  caller: Caller,
  session: Session,
  owner: Account | null,
): Promise<Verdict> {
  const accountId = session.account as string;
  await sessionsIn(em).end(session.id, 'refresh_token_reused', deps.clock.now());
  const afterCommit = await deps.revocations.revokeSessions(
    em,
    [session.id],
    'refresh_token_reused',
  );
  recordAudit(em, deps, caller, {
    type: 'session.refresh_token_reused',
    subject: accountId,
    outcome: 'failure',
    reason: 'REFRESH_TOKEN_REUSED',
    details: { session_id: session.id },
  });
  const { deviceLabel } = session;
  const notice = { template: 'refresh_token_reused', deviceLabel } as const;
  if (owner) await sendNotice(em, deps, owner, notice);
  await em.flush();
  const failure = refused(
    'REFRESH_TOKEN_REUSED',
    'the refresh token had been used before; the session has been ended',
  );
  return { failure, afterCommit };
}

function refused(
  reason: 'TOKEN_INVALID' | 'TOKEN_EXPIRED' | 'TOKEN_REVOKED' | 'REFRESH_TOKEN_REUSED',
  message: string,
): Failure {
  return new Failure('unauthenticated', reason, message);
}
