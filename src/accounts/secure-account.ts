import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { revokeKeys } from '../api-keys/revoke-keys.ts';
import { identitiesIn } from '../federation/identity.repository.ts';
import type { Undo } from '../one-time-tokens/one-time-token.entity.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken, issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import { passkeysIn } from '../passkeys/passkey.repository.ts';
import { dropUnproved } from '../passwords/drop-unproved.ts';
import type { NewPasswords } from '../passwords/new-passwords.ts';
import { mailReset } from '../passwords/request-password-reset.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import { forgetTotp } from '../second-factors/disable-totp.ts';
import { recoveryCodesIn } from '../second-factors/recovery-code.repository.ts';
import { totpCredentialsIn } from '../second-factors/totp-credential.repository.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { sessionsIn } from '../sessions/session.repository.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';
import { canonicalEmail } from './email.ts';
import { isEmailTaken, parkAddress, takeAddress } from './take-address.ts';

type SecuringNeeds = {
  database: Database;
  keyring: Keyring;
  newPasswords: NewPasswords;
  apiKeyMemory: ApiKeyMemory;
};

/** How the account gets its earlier address back. */
type GiveAddress = (tx: Transaction, account: Account, email: string) => Promise<void>;

/**
 * Restores an account, for the reader of a notice (E06), to its state when the notice was sent (C14):
 * everything that this notice and all later ones reported is undone, every session and API key ends, the
 * password stops working, and a link to set a new one is mailed. What was removed since then does not
 * come back. If another account has the address by now, everything else is done, and a link to get the
 * address back later is mailed.
 *
 * Every token that was mailed after the notice becomes void, since a thief may have received it, unless
 * it could still undo something. Tokens of earlier notices stay: they went to the rightful owner.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`.
 */
export async function secureAccount(
  needs: SecuringNeeds,
  caller: Caller,
  token: string,
): Promise<void> {
  try {
    await secure(needs, caller, token, takeAddress);
  } catch (error) {
    if (!isEmailTaken(error)) throw error;
    await secure(needs, caller, token, parkAddress);
  }
}

async function secure(
  needs: SecuringNeeds,
  caller: Caller,
  token: string,
  giveAddress: GiveAddress,
): Promise<void> {
  const { database, keyring, newPasswords, apiKeyMemory } = needs;
  await database.transaction(caller, async (tx) => {
    const notice = await consumeOneTimeToken(tx, keyring, token, 'secure_account');
    const { account } = notice;
    const tokens = oneTimeTokensIn(tx.em);
    await takeBack(tx, account, await tokens.changesSince(account.id, notice.id), giveAddress);
    const stillToGive = account.isParked ? account.email : undefined;
    await tokens.voidSince(account.id, notice.id, tx.now, stillToGive);
    await newPasswords.retire(tx, account.id);
    const by = { actor: account.id, cause: 'account_secured' } as const;
    await endSessions(tx, account.id, by.cause, { actor: by.actor });
    await sessionsIn(tx.em).disown(account.id, by.cause);
    // A thief may have created some of the keys.
    await revokeKeys(tx, apiKeyMemory, { ownerId: account.id, ...by });
    // The reader of this mail has the address, and had no part in the account (C15).
    if (!account.isProved) await dropUnproved(tx, apiKeyMemory, account);
    await (account.isParked ? mailAddressInUse : mailReset)(tx, keyring, account);
  });
}

/** Undoes changes, the oldest first, and records that the account has been secured. */
async function takeBack(
  tx: Transaction,
  account: Account,
  changes: readonly Undo[],
  giveAddress: GiveAddress,
): Promise<void> {
  const { id, email: before } = account;
  account.updatedAt = tx.now;
  // The oldest change that has an address has the one to restore.
  const address = changes.find(({ email }) => email !== undefined)?.email;
  if (address !== undefined && canonicalEmail(address) !== account.canonicalEmail) {
    await giveAddress(tx, account, address);
  }
  await takeAwayFactors(tx.em, id, changes);
  const { email: after, isParked } = account;
  const undone = [...new Set(changes.flatMap((change) => Object.keys(change)))];
  tx.audit({
    type: 'account.secured',
    actor: id,
    subject: id,
    details: {
      undone: undone.map((name) => (name === 'recoveryCodes' ? 'recovery_codes' : name)),
      ...(isParked && { address_in_use: true }),
    },
    ...(before !== after && { personal: { before: { email: before }, after: { email: after } } }),
  });
}

/** Removes the means of signing in that these changes added. */
async function takeAwayFactors(
  em: EntityManager,
  account: string,
  changes: readonly Undo[],
): Promise<void> {
  if (changes.some(({ totp }) => totp)) await forgetTotp(em, account);
  if (changes.some(({ recoveryCodes }) => recoveryCodes)) {
    await recoveryCodesIn(em).nativeDelete({ account });
  }
  // Anyone who has begun to enrol an app knows its secret.
  await totpCredentialsIn(em).nativeDelete({ account, confirmedAt: null });
  const added = changes.flatMap(({ passkey }) => passkey ?? []);
  await passkeysIn(em).nativeDelete({ account, id: { $in: added } });
  const linked = changes.flatMap(({ identity }) => identity ?? []);
  await identitiesIn(em).nativeDelete({ account, id: { $in: linked } });
}

/** Mails a link to get the address back, which works once the other account no longer has it. */
async function mailAddressInUse(
  tx: Transaction,
  keyring: Keyring,
  { id, email: to, displayName, locale }: Account,
): Promise<void> {
  const details = { undo: { email: to } };
  const { token } = await issueOneTimeToken(tx, keyring, id, 'secure_account', { details });
  await tx.mail({ template: 'address_in_use', to, displayName, locale, token });
}
