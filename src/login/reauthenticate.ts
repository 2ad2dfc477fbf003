import { LockMode } from '@mikro-orm/core';
import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type CheckOwnPasswordDeps, checkOwnPassword } from '../passwords/check-own-password.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { issueAccessToken } from '../sessions/access-token.ts';
import type { SessionDeps } from '../sessions/open-session.ts';
import type { Own } from '../sessions/principal.ts';
import { Session } from '../sessions/session.entity.ts';
import { invalidCredentials } from './refusals.ts';
import { checkSecondFactor, type SecondFactor, type SecondFactorDeps } from './second-factor.ts';

export type ReauthenticateDeps = SessionDeps & SecondFactorDeps & CheckOwnPasswordDeps;

export type Proof = { kind: 'password'; password: string } | SecondFactor;

export type FreshToken = { accessToken: string; expiresAt: Date; sessionId: string };

/**
 * Has the caller prove again who they are, and notes the time in their session, so that methods that
 * ask for a recent sign-in let them in (C10). The session's refresh token stays as it is.
 *
 * Throws `INVALID_CREDENTIALS`, `MFA_CODE_INVALID`, `ACCOUNT_LOCKED`.
 */
export async function reauthenticate(
  deps: ReauthenticateDeps,
  caller: Caller,
  own: Own,
  proof: Proof,
): Promise<FreshToken> {
  if (proof.kind === 'password') {
    const matched = await checkOwnPassword(deps, caller, own.accountId, proof.password);
    if (matched === undefined) throw invalidCredentials();
  }
  const outcome = await deps.database.transaction(
    (em) => renew(em, deps, caller, own, proof),
    caller.signal,
  );
  deps.outbox.wake();
  if ('failure' in outcome) throw outcome.failure;
  return outcome;
}

async function renew(
  em: EntityManager,
  deps: ReauthenticateDeps,
  caller: Caller,
  { accountId, sessionId }: Own,
  proof: Proof,
): Promise<FreshToken | { failure: Failure }> {
  const account = await accountsIn(em).lockOwn(accountId);
  const proved =
    proof.kind === 'password'
      ? { amr: ['pwd'] }
      : await checkSecondFactor(em, deps, caller, account, proof);
  if ('failure' in proved) {
    recordAudit(em, deps, caller, {
      type: 'account.code_refused',
      actor: accountId,
      subject: accountId,
      outcome: 'failure',
      reason: proved.failure.reason,
    });
    return proved;
  }
  const lockMode = LockMode.PESSIMISTIC_WRITE;
  const session = await em.findOne(Session, { id: sessionId, account: accountId }, { lockMode });
  const now = deps.clock.now();
  if (!session?.isLive(now, deps.tokens.sessionIdleTtlMs)) {
    throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the session has been ended');
  }
  session.authTime = now;
  session.amr = [...new Set([...session.amr, ...proved.amr])];
  recordAudit(em, deps, caller, {
    type: 'session.reauthenticated',
    actor: accountId,
    subject: accountId,
    details: { session_id: sessionId, amr: proved.amr },
  });
  const token = await issueAccessToken(deps, {
    sessionId,
    accountId,
    roles: account.roles,
    emailVerified: account.isVerified,
    amr: session.amr,
    authTime: now,
    expiresAt: session.expiresAt,
  });
  return { ...token, sessionId };
}
