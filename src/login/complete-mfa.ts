import { accountsIn } from '../accounts/account.repository.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import {
  consumeOneTimeToken,
  invalidToken,
  readOneTimeToken,
} from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { IssuedTokens } from '../sessions/open-session.ts';
import { completeSignIn, type SignInDeps } from './complete-sign-in.ts';
import { notAdmitted } from './refusals.ts';
import { checkSecondFactor, type SecondFactor, type SecondFactorDeps } from './second-factor.ts';
import { lockForSignIn } from './sign-in-state.ts';

export type CompleteMfaDeps = SignInDeps &
  SecondFactorDeps & { database: SqlDatabase; auditQueue: AuditQueue };

export type CompleteMfa = { challengeToken: string; factor: SecondFactor };

/**
 * Completes a sign-in that a right password began, by a second factor. The challenge is used up by the
 * sign-in that it completes, and by nothing else: of several at once, exactly one opens a session.
 *
 * Wrong codes are counted for the account, whatever the challenge (C09).
 */
export async function completeMfa(
  deps: CompleteMfaDeps,
  caller: Caller,
  request: CompleteMfa,
): Promise<IssuedTokens> {
  const { outcome, accountId } = await deps.database.transaction(
    (em) => tryFactor(em, deps, caller, request),
    caller.signal,
  );
  deps.outbox.wake();
  if (!('failure' in outcome)) return outcome;
  deps.auditQueue.add(caller, {
    type: 'sign_in.failed',
    subject: accountId,
    outcome: 'failure',
    reason: outcome.failure.reason,
  });
  throw outcome.failure;
}

async function tryFactor(
  em: EntityManager,
  deps: CompleteMfaDeps,
  caller: Caller,
  { challengeToken, factor }: CompleteMfa,
): Promise<{ outcome: IssuedTokens | { failure: Failure }; accountId: string }> {
  const { accountId } = await readOneTimeToken(em, deps, challengeToken, 'mfa_challenge');
  const account = await accountsIn(em).lockLive({ id: accountId });
  if (!account) throw invalidToken('mfa_challenge');
  const failure = notAdmitted(account, deps.requireVerifiedEmail);
  if (failure) return { outcome: { failure }, accountId };
  const checked = await checkSecondFactor(em, deps, caller, account, factor);
  if ('failure' in checked) return { outcome: checked, accountId };
  const { details } = await consumeOneTimeToken(em, deps, challengeToken, 'mfa_challenge');
  const deviceLabel = details.deviceLabel ?? '';
  const device = { deviceLabel, userAgent: caller.userAgent };
  const isNewDevice = (await lockForSignIn(em, accountId, device))?.isNewDevice === true;
  const amr = ['pwd', ...checked.amr];
  const signIn = { account, amr, deviceLabel, isNewDevice };
  return { outcome: await completeSignIn(em, deps, caller, signIn), accountId };
}
