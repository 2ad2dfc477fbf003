import type { NoticeDeps } from '../accounts/notices.ts';
import { lockOwnAccount } from '../accounts/own-account.ts';
import type { PasswordHasher } from '../accounts/password-hasher.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../platform/database.ts';
import { accountLocked, countFailure } from './count-failure.ts';
import { PasswordHistory } from './password-history.entity.ts';
import { SignInLock } from './sign-in-lock.entity.ts';
import { isLocked } from './sign-in-lock.repository.ts';

export type CheckOwnPasswordDeps = NoticeDeps & { database: Database; passwords: PasswordHasher };

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
      const state = await em.getRepository(SignInLock).stateOf(accountId, 'password');
      if (isLocked(state, deps.clock.now())) throw accountLocked(state, deps.clock.now());
      return { passwordHash: await em.getRepository(PasswordHistory).current(accountId) };
    }, caller.signal);
  const { passwordHash, matches } = await deps.passwords.verify(find, password, caller.signal);
  const state = await deps.database.transaction(async (em) => {
    const account = await lockOwnAccount(em, accountId);
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
    return em.getRepository(SignInLock).stateOf(accountId, 'password');
  }, caller.signal);
  deps.outbox.wake();
  if (!matches) return undefined;
  if (isLocked(state, deps.clock.now())) throw accountLocked(state, deps.clock.now());
  return passwordHash;
}
