import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { restoreMail } from '../mail/mail-budget.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken, invalidToken } from '../one-time-tokens/one-time-token.ts';
import { dropUnproved } from '../passwords/drop-unproved.ts';
import { type Caller, ownSession } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';

/**
 * Marks an account's address as verified by the token mailed to it, which works once (C06). If nobody
 * had proved an address of the account before, everything it held is removed except its password and the
 * session that presents the token (C15). The password is the one that the account had when the mail was
 * requested: another sign-up makes the token void.
 */
export async function verifyEmail(
  needs: { database: Database; keyring: Keyring; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
  token: string,
): Promise<void> {
  const { database, keyring, apiKeyMemory } = needs;
  await database.transaction(caller, async (tx) => {
    const { account, details } = await consumeOneTimeToken(tx, keyring, token, 'verify_email');
    const { id, isProved } = account;
    if ((details.signUp ?? 0) !== account.signUps) throw invalidToken('verify_email');
    const kept = { password: true, session: ownSession(caller, id) };
    const dropped = isProved ? [] : await dropUnproved(tx, apiKeyMemory, account, kept);
    account.emailVerifiedAt ??= tx.now;
    account.updatedAt = tx.now;
    await oneTimeTokensIn(tx.em).voidLive(id, 'verify_email', tx.now);
    await restoreMail(tx, keyring, 'verify_email', account.email);
    tx.audit({
      type: 'account.email_verified',
      actor: id,
      subject: id,
      details: dropped.length > 0 ? { dropped } : {},
    });
  });
}
