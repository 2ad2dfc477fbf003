import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { replaceRecoveryCodes } from './recovery-codes.ts';
import { totpStep } from './totp.ts';
import { TOTP_PURPOSE, totpCredentialsIn } from './totp-credential.repository.ts';

/**
 * Turns the second factor on by a code, which proves that the app has the secret. The caller's other
 * sessions end, because they were opened without it. Returns the recovery codes, only here.
 *
 * Throws `MFA_CODE_INVALID` for a wrong code, after which the caller may try again, and `MFA_STATE` if
 * no enrolment has begun or one is complete.
 */
export async function confirmTotpEnrollment(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  code: string,
): Promise<string[]> {
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    await confirm(tx, keyring, account.id, code);
    const codes = await replaceRecoveryCodes(tx.em, keyring, account.id);
    tx.audit({ type: 'account.mfa_enabled', subject: account.id, details: { factor: 'totp' } });
    const undo = { totp: true } as const;
    await sendNotice(tx, keyring, account, { template: 'mfa_enabled' }, { undo });
    await endSessions(tx, account.id, 'mfa_enabled', { except: caller.sessionId });
    return codes;
  });
}

async function confirm(
  { em, now }: Transaction,
  keyring: Keyring,
  account: string,
  code: string,
): Promise<void> {
  const credential = await totpCredentialsIn(em).findOne({ account });
  if (!credential || credential.confirmedAt) {
    const message = 'no enrolment is in progress; begin one first';
    throw new Failure('precondition', 'MFA_STATE', message);
  }
  const secret = keyring.open(TOTP_PURPOSE, credential.secretSealed);
  const step = totpStep(secret, code, now);
  if (step === undefined) {
    throw invalidField('code', 'is not one that the app shows now', 'MFA_CODE_INVALID');
  }
  credential.confirmedAt = now;
  // This uses the code up, so that it can't sign anyone in.
  credential.lastStep = step;
}
