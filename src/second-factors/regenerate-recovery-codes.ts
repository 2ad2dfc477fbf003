import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { mfaIsOff } from './disable-totp.ts';
import { replaceRecoveryCodes } from './recovery-codes.ts';
import { totpCredentialsIn } from './totp-credential.repository.ts';

/** Replaces the caller's recovery codes by new ones. Throws `MFA_STATE` if the factor is off. */
export async function regenerateRecoveryCodes(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
): Promise<string[]> {
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    if (!(await totpCredentialsIn(tx.em).findConfirmed(account.id))) throw mfaIsOff();
    tx.audit({ type: 'account.recovery_codes_replaced', subject: account.id });
    const undo = { recoveryCodes: true } as const;
    await sendNotice(tx, keyring, account, { template: 'recovery_codes_replaced' }, { undo });
    return replaceRecoveryCodes(tx.em, keyring, account.id);
  });
}
