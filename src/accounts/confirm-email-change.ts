import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken, invalidToken } from '../one-time-tokens/one-time-token.ts';
import { dropUnproved } from '../passwords/drop-unproved.ts';
import { mailReset } from '../passwords/request-password-reset.ts';
import { type Caller, ownSession } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';
import { takeAddress } from './take-address.ts';

/**
 * Changes an account's address to the one that the token was mailed to. Tokens mailed to the old address
 * become void, all sessions but the caller's own end, and the old address gets a link that undoes the
 * change.
 *
 * If nobody had proved an address of the account before, everything it held is removed except the
 * session that presents the token (C15), and a link to set a password is mailed to the new address.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`, `EMAIL_TAKEN`.
 */
export async function confirmEmailChange(
  needs: { database: Database; keyring: Keyring; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
  token: string,
): Promise<void> {
  const { database, keyring, apiKeyMemory } = needs;
  await database.transaction(caller, async (tx) => {
    const { account, details } = await consumeOneTimeToken(tx, keyring, token, 'change_email');
    const { newEmail } = details;
    if (newEmail === undefined) throw invalidToken('change_email');
    const { id, email: before, isVerified, isProved } = account;
    await takeAddress(tx, account, newEmail);
    await oneTimeTokensIn(tx.em).voidSignInTokens(id, tx.now);
    const session = ownSession(caller, id);
    const dropped = isProved ? [] : await dropUnproved(tx, apiKeyMemory, account, { session });
    tx.audit({
      type: 'account.email_changed',
      actor: id,
      subject: id,
      details: dropped.length > 0 ? { dropped } : {},
      personal: { before: { email: before }, after: { email: newEmail } },
    });
    if (isProved) await tellOldAddress(tx, keyring, account, { email: before, isVerified });
    else await mailReset(tx, keyring, account);
    await endSessions(tx, id, 'email_changed', { except: session, actor: id });
  });
}

/**
 * Mails a notice to the old address, with a link that takes the account back if that address was
 * verified.
 */
async function tellOldAddress(
  tx: Transaction,
  keyring: Keyring,
  account: Account,
  { email, isVerified }: { email: string; isVerified: boolean },
): Promise<void> {
  const notice = { template: 'email_changed', newEmail: account.email } as const;
  const undo = isVerified ? { undo: { email } } : {};
  await sendNotice(tx, keyring, account, notice, { to: email, ...undo });
}
