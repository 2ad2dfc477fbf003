import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { revokeKeys } from '../api-keys/revoke-keys.ts';
import type { Undo } from '../one-time-tokens/one-time-token.entity.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import { passkeysIn } from '../passkeys/passkey.repository.ts';
import type { NewPasswords } from '../passwords/new-passwords.ts';
import { mailReset } from '../passwords/request-password-reset.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { forgetTotp } from '../second-factors/disable-totp.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';
import { canonicalEmail } from './email.ts';
import { takeAddress } from './take-address.ts';

/**
 * Gives an account back to the reader of a notice (E06): undoes what the notice told of, ends every
 * session and API key, makes the password stop working, and mails a link to set a new one.
 *
 * Every token that was mailed after the notice becomes void, since a thief may have received it: also
 * one that would undo this. Tokens of earlier notices stay, since they went to the rightful owner.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`.
 */
export async function secureAccount(
  needs: {
    database: Database;
    keyring: Keyring;
    newPasswords: NewPasswords;
    apiKeyMemory: ApiKeyMemory;
  },
  caller: Caller,
  token: string,
): Promise<void> {
  const { database, keyring, newPasswords, apiKeyMemory } = needs;
  await database.transaction(caller, async (tx) => {
    const used = await consumeOneTimeToken(tx, keyring, token, 'secure_account');
    const { account, details, createdAt } = used;
    await oneTimeTokensIn(tx.em).voidSince(account.id, createdAt, tx.now);
    await newPasswords.retire(tx, account.id);
    await undoChange(tx, account, details.undo ?? {});
    await mailReset(tx, keyring, account);
    const by = { actor: account.id, cause: 'account_secured' } as const;
    await endSessions(tx, account.id, by.cause, { actor: by.actor });
    // A thief may have created some of the keys.
    await revokeKeys(tx, apiKeyMemory, { ownerId: account.id, ...by });
  });
}

/** Undoes what a notice told of, and records that the account has been secured. */
async function undoChange(tx: Transaction, account: Account, undo: Undo): Promise<void> {
  const { email: before } = account;
  account.updatedAt = tx.now;
  if (undo.email !== undefined && canonicalEmail(undo.email) !== account.canonicalEmail) {
    await takeAddress(tx, account, undo.email);
  }
  if (undo.totp) await forgetTotp(tx.em, account.id);
  if (undo.passkey !== undefined) await passkeysIn(tx.em).forget(account.id, undo.passkey);
  const { email: after } = account;
  tx.audit({
    type: 'account.secured',
    actor: account.id,
    subject: account.id,
    details: { undone: Object.keys(undo) },
    ...(before !== after && { personal: { before: { email: before }, after: { email: after } } }),
  });
}
