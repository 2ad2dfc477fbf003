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
import type { EntityManager } from '../platform/sql.ts';
import { forgetTotp } from '../second-factors/disable-totp.ts';
import { recoveryCodesIn } from '../second-factors/recovery-code.repository.ts';
import { totpCredentialsIn } from '../second-factors/totp-credential.repository.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';
import { canonicalEmail } from './email.ts';
import { takeAddress } from './take-address.ts';

/**
 * Takes an account back, for the reader of a notice (E06), to what it was when the notice was sent (C14):
 * whatever this notice and all later ones told of is undone, every session and API key ends, the password
 * stops working, and a link to set a new one is mailed. What was removed since does not come back.
 *
 * Every token that was mailed after the notice becomes void, since a thief may have received it, and
 * nothing is left that it could undo. Tokens of earlier notices stay: they went to the rightful owner.
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
    const { id: noticeId, account } = await consumeOneTimeToken(
      tx,
      keyring,
      token,
      'secure_account',
    );
    const tokens = oneTimeTokensIn(tx.em);
    await tokens.voidSince(account.id, noticeId, tx.now);
    await newPasswords.retire(tx, account.id);
    await takeBack(tx, account, await tokens.changesSince(account.id, noticeId));
    await mailReset(tx, keyring, account);
    const by = { actor: account.id, cause: 'account_secured' } as const;
    await endSessions(tx, account.id, by.cause, { actor: by.actor });
    // A thief may have created some of the keys.
    await revokeKeys(tx, apiKeyMemory, { ownerId: account.id, ...by });
  });
}

/** Undoes changes, the oldest first, and records that the account has been secured. */
async function takeBack(
  tx: Transaction,
  account: Account,
  changes: readonly Undo[],
): Promise<void> {
  const { id, email: before } = account;
  account.updatedAt = tx.now;
  // The oldest of them knows the address that the account had.
  const address = changes.find(({ email }) => email !== undefined)?.email;
  if (address !== undefined && canonicalEmail(address) !== account.canonicalEmail) {
    await takeAddress(tx, account, address);
  }
  await takeAwayFactors(tx.em, id, changes);
  const { email: after } = account;
  const undone = [...new Set(changes.flatMap((change) => Object.keys(change)))];
  tx.audit({
    type: 'account.secured',
    actor: id,
    subject: id,
    details: { undone: undone.map((name) => (name === 'recoveryCodes' ? 'recovery_codes' : name)) },
    ...(before !== after && { personal: { before: { email: before }, after: { email: after } } }),
  });
}

/** Takes away what was added to sign in with. */
async function takeAwayFactors(
  em: EntityManager,
  account: string,
  changes: readonly Undo[],
): Promise<void> {
  if (changes.some(({ totp }) => totp)) await forgetTotp(em, account);
  if (changes.some(({ recoveryCodes }) => recoveryCodes)) {
    await recoveryCodesIn(em).nativeDelete({ account });
  }
  // Whoever has begun to enrol an app knows its secret.
  await totpCredentialsIn(em).nativeDelete({ account, confirmedAt: null });
  const added = changes.flatMap(({ passkey }) => passkey ?? []);
  await passkeysIn(em).nativeDelete({ account, id: { $in: added } });
}
