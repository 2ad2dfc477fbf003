import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { accountLocked, countFailure } from './count-failure.ts';
import { passwordsIn } from './password-credential.repository.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { isLocked, signInLocksIn } from './sign-in-lock.repository.ts';

/**
 * Checks whether a signed-in caller knows their password. Returns the hash that it matches, undefined if
 * it is wrong. A wrong password counts as it does at sign-in (C05): someone who steals an access token
 * can guess no faster than anyone else.
 *
 * Throws `ACCOUNT_LOCKED` after too many wrong ones, without looking at the password, and `OVERLOADED`.
 */
export function checkOwnPassword(
  needs: { database: Database; keyring: Keyring; passwords: PasswordHasher },
  caller: Caller,
  password: string,
): Promise<string | undefined> {
  return needs.passwords.inTurn(caller.subject, caller.signal, () =>
    check(needs, caller, password),
  );
}

async function check(
  { database, keyring, passwords }: Parameters<typeof checkOwnPassword>[0],
  caller: Caller,
  password: string,
): Promise<string | undefined> {
  const find = () =>
    database.read(caller, async (em, now) => {
      const state = await signInLocksIn(em).stateOf(caller.subject, 'password');
      if (isLocked(state, now)) throw accountLocked(state, now);
      return { passwordHash: await passwordsIn(em).hashOf(caller.subject) };
    });
  const { passwordHash, matches } = await passwords.verify(find, password, caller.signal);
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    if (!matches) {
      tx.audit({
        type: 'account.password_refused',
        subject: account.id,
        outcome: 'failure',
        reason: 'INVALID_CREDENTIALS',
      });
      await countFailure(tx, keyring, account, 'password');
      return undefined;
    }
    // Wrong guesses at the same time may have locked it meanwhile.
    const state = await signInLocksIn(tx.em).stateOf(account.id, 'password');
    if (isLocked(state, tx.now)) throw accountLocked(state, tx.now);
    return passwordHash;
  });
}
