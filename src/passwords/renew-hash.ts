import type { Caller } from '../platform/caller.ts';
import { errorFields, type Log } from '../platform/log.ts';
import type { Database } from '../unit-of-work/database.ts';
import { passwordsIn } from './password-credential.repository.ts';
import type { PasswordHasher } from './password-hasher.ts';

/** A password that has just matched a hash of an older kind or cost. */
type CheckedPassword = { accountId: string; password: string; hash: string };

/**
 * Hashes a password that has just been checked with the present settings, and stores that hash instead
 * of the one that it was checked against. Does nothing if another hash has been stored meanwhile.
 * Never throws: the sign-in has succeeded, and the next one tries again.
 */
export async function renewHash(
  { database, passwords, log }: { database: Database; passwords: PasswordHasher; log: Log },
  caller: Caller,
  { accountId, password, hash }: CheckedPassword,
): Promise<void> {
  try {
    const newHash = await passwords.hash(password, caller.signal);
    await database.transaction(caller, (tx) => passwordsIn(tx.em).rehash(accountId, hash, newHash));
  } catch (error) {
    const fields = { component: 'passwords', ...errorFields(error), stack: undefined };
    log.info({ ...fields, subject: accountId }, 'a password hash was not renewed');
  }
}
