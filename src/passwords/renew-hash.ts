import { errorFields, type Log } from '../platform/log.ts';
import { query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { PasswordHasher } from './password-hasher.ts';

export type RenewHashDeps = { database: SqlDatabase; passwords: PasswordHasher; log: Log };

/**
 * Hashes the password of an account as passwords are hashed now, and stores that in the place of
 * `checkedHash`, against which the password has just been found right; when another hash is stored
 * by then, nothing happens. Never throws: the sign-in has succeeded, and the next one tries again.
 */
export async function renewHash(
  { database, passwords, log }: RenewHashDeps,
  accountId: string,
  checkedHash: string | undefined,
  password: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const hash = await passwords.hash(password, signal);
    await database.transaction(
      (em) =>
        query(
          em,
          `update password_credentials set password_hash = $1
           where account_id = $2 and password_hash = $3`,
          [hash, accountId, checkedHash],
        ),
      signal,
    );
  } catch (error) {
    const fields = { component: 'passwords', ...errorFields(error), stack: undefined };
    log.info({ ...fields, subject: accountId }, 'a password hash was not renewed');
  }
}
