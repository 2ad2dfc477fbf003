import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken, invalidToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import { takeAddress } from './take-address.ts';

/**
 * Gives an account the address that the token was mailed to. Tokens mailed to the old address become
 * void, all sessions but the caller's own end, and the old address gets a link that undoes the change.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`, `EMAIL_TAKEN`.
 */
export async function confirmEmailChange(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  token: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const { account, details } = await consumeOneTimeToken(tx, keyring, token, 'change_email');
    const { newEmail } = details;
    if (newEmail === undefined) throw invalidToken('change_email');
    const { email: oldEmail } = account;
    await takeAddress(tx, account, newEmail);
    await oneTimeTokensIn(tx.em).voidSignInTokens(account.id, tx.now);
    tx.audit({
      type: 'account.email_changed',
      actor: account.id,
      subject: account.id,
      personal: { before: { email: oldEmail }, after: { email: newEmail } },
    });
    const notice = { template: 'email_changed', newEmail } as const;
    await sendNotice(tx, keyring, account, notice, { to: oldEmail, undo: { email: oldEmail } });
    // The link may be opened by anyone, signed in as whoever they are, or not at all.
    const isOwnSession = caller.subject === account.id && caller.sessionId !== '';
    const except = isOwnSession ? caller.sessionId : undefined;
    await endSessions(tx, account.id, 'email_changed', { except, actor: account.id });
  });
}
