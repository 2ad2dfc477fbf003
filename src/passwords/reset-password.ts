import { accountsIn } from '../accounts/account.repository.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { restoreMail } from '../mail/mail-budget.ts';
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
import { dropUnproved } from './drop-unproved.ts';
import type { NewPasswords } from './new-passwords.ts';

/**
 * Sets a password by a mailed token, which works once (C06). All sessions end, a mail tells the owner,
 * and the second factor stays as it is (C07). The token verifies the address too; if nobody had proved
 * an address of the account before, everything it held is removed (C15).
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`, `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`. After a refused
 * password the token still works.
 */
export async function resetPassword(
  needs: {
    database: Database;
    keyring: Keyring;
    newPasswords: NewPasswords;
    apiKeyMemory: ApiKeyMemory;
  },
  caller: Caller,
  { token, newPassword }: { token: string; newPassword: string },
): Promise<void> {
  const { database, keyring, newPasswords, apiKeyMemory } = needs;
  const { account, last } = await database.read(caller, async (em, now) => {
    const { accountId } = await readOneTimeToken({ em, now }, keyring, token, 'reset_password');
    const account = await accountsIn(em).findOne(accountId);
    // A person who has yet to prove the address may have entered one of these themselves.
    return { account, last: account?.isProved ? await newPasswords.last(em, accountId) : [] };
  });
  if (!account) throw invalidToken('reset_password');
  const passwordHash = await newPasswords.hash(account, last, newPassword, caller);
  await database.transaction(caller, async (tx) => {
    const { account } = await consumeOneTimeToken(tx, keyring, token, 'reset_password');
    const { id, isProved } = account;
    const dropped = isProved ? [] : await dropUnproved(tx, apiKeyMemory, account);
    await newPasswords.set(tx, account, passwordHash);
    account.emailVerifiedAt ??= tx.now;
    await oneTimeTokensIn(tx.em).voidSignInTokens(id, tx.now);
    await restoreMail(tx, keyring, 'reset_password', account.email);
    const details = dropped.length > 0 ? { dropped } : {};
    tx.audit({ type: 'account.password_reset', actor: id, subject: id, details });
    await sendNotice(tx, keyring, account, { template: 'password_changed' });
    await endSessions(tx, id, 'password_reset', { actor: id });
  });
}
