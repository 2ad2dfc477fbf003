import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';
import { recoveryCodesIn } from './recovery-code.repository.ts';
import { totpCredentialsIn } from './totp-credential.repository.ts';

/** Turns the caller's second factor off. Throws `MFA_STATE` if it is off already. */
export async function disableTotp(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    if (!(await totpCredentialsIn(tx.em).findConfirmed(account.id))) throw mfaIsOff();
    await forgetTotp(tx.em, account.id);
    tx.audit({ type: 'account.mfa_disabled', subject: account.id, details: { factor: 'totp' } });
    await sendNotice(tx, keyring, account, { template: 'mfa_disabled' });
  });
}

/** Deletes an account's secret and recovery codes, and forgets how often a code was wrong. */
export async function forgetTotp(em: EntityManager, account: string): Promise<void> {
  await totpCredentialsIn(em).nativeDelete({ account });
  await recoveryCodesIn(em).nativeDelete({ account });
  await signInLocksIn(em).forget(account, 'code');
}

export function mfaIsOff(): Failure {
  return new Failure('precondition', 'MFA_STATE', 'the second factor is off');
}
