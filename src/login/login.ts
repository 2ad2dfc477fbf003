import { accountsIn, type SignInRecord } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import { countFailure } from '../passwords/count-failure.ts';
import type { PasswordHasher } from '../passwords/password-hasher.ts';
import { type RenewHashDeps, renewHash } from '../passwords/renew-hash.ts';
import { isLocked, signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { untilRefusal } from '../platform/even-time.ts';
import type { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { IssuedTokens } from '../sessions/open-session.ts';
import { completeSignIn, type SignInDeps } from './complete-sign-in.ts';
import { challengeFor, type MfaChallenge } from './mfa-challenge.ts';
import { invalidCredentials, notAdmitted } from './refusals.ts';
import { lockForSignIn } from './sign-in-state.ts';

export type LoginDeps = SignInDeps &
  RenewHashDeps & { database: SqlDatabase; passwords: PasswordHasher; auditQueue: AuditQueue };

export type Login = { email: string; password: string; deviceLabel: string };

export type LoginOutcome = { tokens: IssuedTokens } | { challenge: MfaChallenge };

/** Returned rather than thrown, so that what it leaves commits. */
type Refused = { failure: Failure; isOutdated?: boolean };

/**
 * Signs in by password: opens a session, or asks for the account's second factor.
 *
 * A wrong password, an unknown address and a lock are refused alike, in even time (C04, C05). Only who
 * knows the password learns that the account is suspended or its address unverified. Refusals are
 * audited off the path, sign-ins in their own transaction. A hash of another kind or cost than ours is
 * replaced (C03).
 */
export async function login(
  deps: LoginDeps,
  caller: Caller,
  request: Login,
): Promise<LoginOutcome> {
  const checked = await deps.passwords.verify(
    () => find(deps, caller, request.email),
    request.password,
    caller.signal,
  );
  const { account, passwordHash, needsRehash, checkedAt } = checked;
  const outcome = await decide(deps, caller, request, checked);
  deps.outbox.wake();
  if ('failure' in outcome) {
    // A sign-in beside this one may have renewed the hash: once more, with the new one.
    if (outcome.isOutdated && needsRehash) return login(deps, caller, request);
    const { failure } = outcome;
    if (failure.kind === 'unauthenticated') await untilRefusal(checkedAt, caller.signal);
    throw refused(deps, caller, account?.id, failure);
  }
  if (needsRehash && account) {
    await renewHash(deps, account.id, passwordHash, request.password, caller.signal);
  }
  return outcome;
}

type Found = { account: SignInRecord | undefined; passwordHash: string | undefined };

async function decide(
  deps: LoginDeps,
  caller: Caller,
  { deviceLabel }: Login,
  { account, passwordHash, matches }: Found & { matches: boolean },
): Promise<LoginOutcome | Refused> {
  if (!account) return { failure: invalidCredentials() };
  return deps.database.transaction(
    (em) =>
      matches
        ? admit(em, deps, caller, account.id, passwordHash, deviceLabel)
        : refuse(em, deps, caller, account.id),
    caller.signal,
  );
}

/**
 * Lets the owner in with what the account is at this moment: it may have been locked or suspended, or
 * its password changed, while the presented one was being checked. Whoever does that locks the account
 * first.
 */
async function admit(
  em: EntityManager,
  deps: LoginDeps,
  caller: Caller,
  accountId: string,
  passwordHash: string | undefined,
  deviceLabel: string,
): Promise<LoginOutcome | Refused> {
  const device = { deviceLabel, userAgent: caller.userAgent };
  const state = await lockForSignIn(em, accountId, device);
  if (!state || state.passwordHash !== passwordHash) {
    return { failure: invalidCredentials(), isOutdated: true };
  }
  if (isLocked(state, deps.clock.now())) return { failure: invalidCredentials() };
  const { account, isNewDevice } = state;
  const failure = notAdmitted(account, deps.requireVerifiedEmail);
  if (failure) return { failure };
  if (state.failures > 0) await signInLocksIn(em).forget(accountId, 'password');
  if (state.hasTotp)
    return { challenge: await challengeFor(em, deps, caller, account, deviceLabel) };
  const signIn = { account, amr: ['pwd'], deviceLabel, isNewDevice };
  return { tokens: await completeSignIn(em, deps, caller, signIn) };
}

/** Counts a wrong password. */
async function refuse(
  em: EntityManager,
  deps: LoginDeps,
  caller: Caller,
  accountId: string,
): Promise<Refused> {
  const account = await accountsIn(em).lockLive({ id: accountId });
  if (account) await countFailure(em, deps, caller, account, 'password');
  return { failure: invalidCredentials() };
}

/** Notes a refused sign-in, off the path, and gives what the caller is told. */
function refused(
  { auditQueue }: LoginDeps,
  caller: Caller,
  subject: string | undefined,
  failure: Failure,
): Failure {
  const { reason } = failure;
  auditQueue.add(caller, { type: 'sign_in.failed', subject, outcome: 'failure', reason });
  return failure;
}

async function find({ database }: LoginDeps, caller: Caller, email: string): Promise<Found> {
  const account = await database.read(
    (em) => accountsIn(em).findForSignIn(canonicalEmail(email)),
    caller.signal,
  );
  return { account, passwordHash: account?.passwordHash ?? undefined };
}
