import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import {
  consumeOneTimeToken,
  invalidToken,
  readOneTimeToken,
} from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { NewPasswords } from './new-passwords.ts';

/**
 * Sets a password by a mailed token, which works once (C06). All sessions end, a mail tells the owner,
 * and the second factor stays as it is (C07). The token verifies the address too.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`, `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`. After a refused
 * password the token still works.
 */
export async function resetPassword(
  needs: { database: Database; keyring: Keyring; newPasswords: NewPasswords },
  caller: Caller,
  { token, newPassword }: { token: string; newPassword: string },
): Promise<void> {
  const { database, keyring, newPasswords } = needs;
  const { account, last } = await database.read(caller, async (em, now) => {
    const { accountId } = await readOneTimeToken({ em, now }, keyring, token, 'reset_password');
    const account = await accountsIn(em).findOne(accountId);
    return { account, last: await newPasswords.last(em, accountId) };
  });
  if (!account) throw invalidToken('reset_password');
  const passwordHash = await newPasswords.hash(account, last, newPassword, caller.signal);
  await database.transaction(caller, async (tx) => {
    const { account } = await consumeOneTimeToken(tx, keyring, token, 'reset_password');
    await newPasswords.set(tx, account, passwordHash);
    account.emailVerifiedAt ??= tx.now;
    await oneTimeTokensIn(tx.em).voidSignInTokens(account.id, tx.now);
    tx.audit({ type: 'account.password_reset', actor: account.id, subject: account.id });
    await sendNotice(tx, keyring, account, { template: 'password_changed' });
    await endSessions(tx, account.id, 'password_reset', { actor: account.id });
  });
}
