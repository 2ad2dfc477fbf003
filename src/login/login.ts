import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import { countFailure } from '../passwords/count-failure.ts';
import { checksOf } from '../passwords/password-hash.ts';
import type { PasswordHasher } from '../passwords/password-hasher.ts';
import { renewHash } from '../passwords/renew-hash.ts';
import { isLocked, signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { refusingInEvenTime } from '../platform/even-time.ts';
import type { Log } from '../platform/log.ts';
import type { IssuedTokens, TokenIssuer } from '../sessions/token-issuer.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { completeSignIn } from './complete-sign-in.ts';
import { issueMfaChallenge, type MfaChallenge } from './mfa-challenge.ts';
import { failedSignIn, invalidCredentials, notAdmitted, refuseSignIn } from './refusals.ts';
import { lockForSignIn } from './sign-in-state.ts';

export type Login = { email: string; password: string; deviceLabel: string };

export type LoginOutcome = { tokens: IssuedTokens } | { challenge: MfaChallenge };

/** A checked password: the account if the address has one, and the hash that was checked. */
type Checked = {
  accountId: string | undefined;
  passwordHash: string | undefined;
  matches: boolean;
  needsRehash: boolean;
};

/**
 * Signs in by password: opens a session, or asks for the account's second factor.
 *
 * A wrong password, an unknown address and a lock are refused alike, in even time (C04, C05), and
 * sign-ins with one address come one after the other, whether it has an account or not (C17). Only
 * someone who knows the password learns that the account is suspended or its address unverified. The
 * audit events of refusals are queued; those of sign-ins commit with them. A hash of another kind or
 * cost than ours is renewed (C03).
 *
 * Throws `INVALID_CREDENTIALS`, `ACCOUNT_SUSPENDED`, `EMAIL_NOT_VERIFIED`, `OVERLOADED`.
 */
export function login(
  needs: {
    database: Database;
    keyring: Keyring;
    log: Log;
    passwords: PasswordHasher;
    tokenIssuer: TokenIssuer;
    auditQueue: AuditQueue;
    requireVerifiedEmail: boolean;
  },
  caller: Caller,
  request: Login,
): Promise<LoginOutcome> {
  const address = canonicalEmail(request.email);
  return needs.passwords.inTurn(address, caller.signal, () => attempt(needs, caller, request));
}

async function attempt(
  needs: Parameters<typeof login>[0],
  caller: Caller,
  request: Login,
): Promise<LoginOutcome> {
  const { database, keyring, passwords, auditQueue } = needs;
  const { email, password, deviceLabel } = request;
  const find = () => findHash(database, caller, email);
  const checked = await passwords.verify(find, password, caller.signal);
  const { accountId, passwordHash: hash, matches } = checked;
  const times = { checkedAt: checked.checkedAt, checks: checksOf(password) };
  const outcome = await refusingInEvenTime(times, caller.signal, async () => {
    const tokens = await admitAtOnce(needs, caller, checked, deviceLabel);
    if (tokens) return { tokens };
    if (accountId === undefined) {
      const failure = invalidCredentials();
      auditQueue.add(caller, failedSignIn(failure));
      throw failure;
    }
    return database.transaction(caller, (tx) =>
      matches
        ? admit(tx, needs, { ...checked, accountId }, deviceLabel)
        : refuse(tx, keyring, auditQueue, accountId),
    );
  });
  // A sign-in at another replica has renewed the hash: check the password against the new one.
  if (outcome === 'outdated') return attempt(needs, caller, request);
  if (checked.needsRehash && accountId !== undefined && hash !== undefined) {
    await renewHash(needs, caller, { accountId, password, hash });
  }
  return outcome;
}

/**
 * Admits the owner in one statement if nothing has to be decided, as is usual. A transaction, which takes
 * five, finds out what it was otherwise.
 */
async function admitAtOnce(
  { database, tokenIssuer, requireVerifiedEmail: needsVerified }: Parameters<typeof login>[0],
  caller: Caller,
  { accountId, passwordHash: checkedHash, matches }: Checked,
  deviceLabel: string,
): Promise<IssuedTokens | undefined> {
  if (accountId === undefined || checkedHash === undefined || !matches) return undefined;
  const checked = { checkedHash, needsVerified };
  return tokenIssuer.openAtOnce(database, caller, {
    accountId,
    amr: ['pwd'],
    deviceLabel,
    checked,
  });
}

/**
 * Admits the owner if the account's present state allows it: it may have been locked or suspended, or
 * its password changed, during the check of the password. Every change of these locks the account first.
 * Returns `outdated` if the hash is no longer the one that was checked and might have been renewed.
 */
async function admit(
  tx: Transaction,
  needs: {
    keyring: Keyring;
    tokenIssuer: TokenIssuer;
    auditQueue: AuditQueue;
    requireVerifiedEmail: boolean;
  },
  { accountId, passwordHash, needsRehash }: Checked & { accountId: string },
  deviceLabel: string,
): Promise<LoginOutcome | 'outdated'> {
  const { keyring, auditQueue, requireVerifiedEmail } = needs;
  const state = await lockForSignIn(tx.em, accountId, { ...tx.caller, deviceLabel });
  const isOutdated = state?.passwordHash !== passwordHash;
  if (isOutdated && needsRehash) return 'outdated';
  if (!state || isOutdated || isLocked(state, tx.now)) {
    throw refuseSignIn(tx, auditQueue, invalidCredentials(), accountId);
  }
  const { account, isNewDevice } = state;
  const failure = notAdmitted(account, requireVerifiedEmail);
  if (failure) throw refuseSignIn(tx, auditQueue, failure, accountId);
  if (state.failures > 0) await signInLocksIn(tx.em).forget(accountId, 'password');
  if (state.hasTotp) {
    const details = { deviceLabel, amr: ['pwd'] };
    return { challenge: await issueMfaChallenge(tx, keyring, accountId, details) };
  }
  const signIn = { account, amr: ['pwd'], deviceLabel, isNewDevice };
  return { tokens: await completeSignIn(tx, needs, signIn) };
}

/** Counts a wrong password and refuses the sign-in. */
async function refuse(
  tx: Transaction,
  keyring: Keyring,
  auditQueue: AuditQueue,
  accountId: string,
): Promise<never> {
  const account = await accountsIn(tx.em).lockLive({ id: accountId });
  if (account) await countFailure(tx, keyring, account, 'password');
  throw refuseSignIn(tx, auditQueue, invalidCredentials(), accountId);
}

async function findHash(database: Database, caller: Caller, email: string) {
  const account = await database.read(caller, (em) =>
    accountsIn(em).findForSignIn(canonicalEmail(email)),
  );
  return { accountId: account?.id, passwordHash: account?.passwordHash ?? undefined };
}
