import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import { completeSignIn } from '../login/complete-sign-in.ts';
import type { LoginOutcome } from '../login/login.ts';
import { issueMfaChallenge } from '../login/mfa-challenge.ts';
import { failedSignIn, notAdmitted, refuseSignIn } from '../login/refusals.ts';
import { lockForSignIn } from '../login/sign-in-state.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Log } from '../platform/log.ts';
import { FEDERATED } from '../sessions/token-claims.ts';
import type { TokenIssuer } from '../sessions/token-issuer.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { accountOf } from './account-of.ts';
import { type FinishedFlow, finishFlow, type ProviderAnswer } from './finish-flow.ts';
import type { Providers } from './providers.ts';

/**
 * Signs in a person who comes back from a provider: opens a session, or asks for the account's second factor,
 * unless the provider has asked for one. The answer works once (F01). Whose account it is, and whether there
 * is one, decides `accountOf` (F02).
 *
 * Throws what `finishFlow` and `accountOf` throw, `ACCOUNT_SUSPENDED` and `EMAIL_NOT_VERIFIED`. The audit
 * events of refusals are queued; those of sign-ins commit with them.
 */
export async function finishFederatedLogin(
  needs: {
    database: Database;
    keyring: Keyring;
    clock: Clock;
    log: Log;
    providers: Providers;
    tokenIssuer: TokenIssuer;
    auditQueue: AuditQueue;
    apiKeyMemory: ApiKeyMemory;
    requireVerifiedEmail: boolean;
  },
  caller: Caller,
  answer: ProviderAnswer,
): Promise<LoginOutcome> {
  const finished = await finishFlow(needs, caller, 'sign_in', answer).catch((error) => {
    const isRefusal = error instanceof Failure && error.kind === 'unauthenticated';
    if (isRefusal) needs.auditQueue.add(caller, failedSignIn(error));
    throw error;
  });
  return needs.database.transaction(caller, (tx) => admit(tx, needs, finished));
}

async function admit(
  tx: Transaction,
  needs: Parameters<typeof finishFederatedLogin>[0],
  { flow, settings, identity }: FinishedFlow,
): Promise<LoginOutcome> {
  const { keyring, auditQueue, requireVerifiedEmail } = needs;
  const found = await accountOf(tx, needs, settings, identity);
  if ('failure' in found) throw refuseSignIn(tx, auditQueue, found.failure, found.accountId);
  await tx.em.flush();
  const { deviceLabel } = flow;
  const state = await lockForSignIn(tx.em, found.account.id, { ...tx.caller, deviceLabel });
  const account = state?.account ?? found.account;
  const failure = notAdmitted(account, requireVerifiedEmail);
  if (failure) throw refuseSignIn(tx, auditQueue, failure, account.id);
  const { id: idp } = settings;
  const provedAt = provedAtOf(identity, tx.now);
  const amr = [FEDERATED, ...(identity.hasSecondFactor ? ['mfa'] : [])];
  if (state?.hasTotp && !identity.hasSecondFactor) {
    const { authTime } = identity;
    const said = authTime === undefined ? {} : { provedAt: provedAt.getTime() };
    const details = { deviceLabel, amr, idp, ...said };
    return { challenge: await issueMfaChallenge(tx, keyring, account.id, details) };
  }
  const isNewDevice = state?.isNewDevice === true;
  const signIn = { account, amr, idp, provedAt, deviceLabel, isNewDevice };
  return { tokens: await completeSignIn(tx, needs, signIn) };
}

/**
 * When the person proved who they are: a provider that knows them may have asked nothing now, and that is no
 * recent sign-in (C10). One that does not say when is believed to have asked.
 */
function provedAtOf({ authTime }: FinishedFlow['identity'], now: Date): Date {
  return authTime === undefined ? now : new Date(Math.min(authTime * 1000, now.getTime()));
}
