import type { Account } from '../accounts/account.entity.ts';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { passwordHistoryIn } from './password-history.repository.ts';
import type { PasswordPolicy } from './password-policy.ts';
import { signInLocksIn } from './sign-in-lock.repository.ts';

export type NewPasswordDeps = {
  clock: Clock;
  passwords: PasswordHasher;
  passwordPolicy: PasswordPolicy;
  /** How many of an account's passwords can't be set again, the present one among them (C02). */
  passwordHistory: number;
};

/** The password that an account has, and those that can't be set, as hashes. */
export type LastPasswords = { current: string | undefined; last: string[] };

export async function lastPasswords(
  em: EntityManager,
  { passwordHistory }: Pick<NewPasswordDeps, 'passwordHistory'>,
  accountId: string,
): Promise<LastPasswords> {
  const history = passwordHistoryIn(em);
  const current = await history.current(accountId);
  const before = await history.before(accountId, passwordHistory);
  const last = [...(current === undefined ? [] : [current]), ...before];
  return { current, last: last.slice(0, passwordHistory) };
}

/**
 * Holds a new password to the policy (C01) and to the account's last ones (C02), and hashes it. It
 * takes its time, and so comes before the transaction.
 *
 * Throws `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`, `OVERLOADED`.
 */
export async function hashNewPassword(
  deps: NewPasswordDeps,
  account: Pick<Account, 'email' | 'displayName'>,
  { last }: LastPasswords,
  password: string,
  signal: AbortSignal,
): Promise<string> {
  const field = 'new_password';
  const ownWords = [account.email, account.displayName];
  await deps.passwordPolicy.check(password, { field, ownWords, signal });
  if (await deps.passwords.matchesAny(password, last, signal)) {
    const description = 'is one of the last passwords of the account';
    throw new Failure('invalid', 'PASSWORD_REUSED', `the password ${description}`, {
      fields: [{ path: field, description }],
    });
  }
  return deps.passwords.hash(password, signal);
}

/** Sets the password of an account that the transaction has locked, and lifts its lock. */
export async function setPassword(
  em: EntityManager,
  deps: Pick<NewPasswordDeps, 'clock' | 'passwordHistory'>,
  account: Account,
  passwordHash: string,
): Promise<void> {
  const now = deps.clock.now();
  // The present password counts among the last, and is kept elsewhere.
  const keep = Math.max(deps.passwordHistory - 1, 0);
  await passwordHistoryIn(em).replace(account.id, passwordHash, keep, now);
  await signInLocksIn(em).forget(account.id, 'password');
  account.updatedAt = now;
}
