import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { accountLocked, countFailure } from './count-failure.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { passwordHistoryIn } from './password-history.repository.ts';
import { isLocked, signInLocksIn } from './sign-in-lock.repository.ts';

export type CheckOwnPasswordDeps = NoticeDeps & {
  database: SqlDatabase;
  passwords: PasswordHasher;
};

/**
 * Whether a signed-in caller knows the account's password: gives the hash that it matched, or nothing
 * where it is wrong, which is counted as it is at sign-in (C05): a thief of an access token guesses no
 * better than anybody.
 *
 * Throws `ACCOUNT_LOCKED` after too many wrong ones, without a look at the password.
 */
export async function checkOwnPassword(
  deps: CheckOwnPasswordDeps,
  caller: Caller,
  accountId: string,
  password: string,
): Promise<string | undefined> {
  const find = () =>
    deps.database.read(async (em) => {
      const state = await signInLocksIn(em).stateOf(accountId, 'password');
      if (isLocked(state, deps.clock.now())) throw accountLocked(state, deps.clock.now());
      return { passwordHash: await passwordHistoryIn(em).current(accountId) };
    }, caller.signal);
  const { passwordHash, matches } = await deps.passwords.verify(find, password, caller.signal);
  const state = await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(accountId);
    if (!matches) {
      recordAudit(em, deps, caller, {
        type: 'account.password_refused',
        actor: accountId,
        subject: accountId,
        outcome: 'failure',
        reason: 'INVALID_CREDENTIALS',
      });
      await countFailure(em, deps, caller, account, 'password');
    }
    // Guesses that were checked beside this one may have locked it meanwhile.
    return signInLocksIn(em).stateOf(accountId, 'password');
  }, caller.signal);
  deps.outbox.wake();
  if (!matches) return undefined;
  if (isLocked(state, deps.clock.now())) throw accountLocked(state, deps.clock.now());
  return passwordHash;
}
