import { consumeOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';

/** Marks an account's address as verified by the token mailed to it, which works once (C06). */
export async function verifyEmail(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  token: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const { account } = await consumeOneTimeToken(tx, keyring, token, 'verify_email');
    account.emailVerifiedAt ??= tx.now;
    account.updatedAt = tx.now;
    tx.audit({ type: 'account.email_verified', actor: account.id, subject: account.id });
  });
}
