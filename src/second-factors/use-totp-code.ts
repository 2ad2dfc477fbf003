import type { Keyring } from '../platform/crypto.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { totpStep } from './totp.ts';
import { TOTP_PURPOSE, totpCredentialsIn } from './totp-credential.repository.ts';

/**
 * Whether the account's authenticator app shows this code about now, and it is newer than the last
 * accepted one. It works once: of several calls with one code, exactly one returns true (C09). A secret
 * under an older master key is sealed again under the present one (S11).
 */
export async function useTotpCode(
  { em, now }: Transaction,
  keyring: Keyring,
  account: string,
  code: string,
): Promise<boolean> {
  const credentials = totpCredentialsIn(em);
  const credential = await credentials.findConfirmed(account);
  if (!credential) return false;
  const secret = keyring.open(TOTP_PURPOSE, credential.secretSealed);
  const step = totpStep(secret, code, now);
  if (step === undefined || !(await credentials.useStep(account, step))) return false;
  if (keyring.versionOf(credential.secretSealed) !== keyring.current) {
    const secretSealed = keyring.seal(TOTP_PURPOSE, secret);
    await credentials.nativeUpdate({ account }, { secretSealed });
  }
  return true;
}
