import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import { totpStep } from './totp.ts';
import { totpCredentialsIn } from './totp-credential.repository.ts';

export const TOTP_PURPOSE = 'totp-secret';

/**
 * Whether a code is one that the account's authenticator app shows about now, and newer than the last
 * that was taken. It works once: of several calls with one code, exactly one gets true (C09). A secret
 * under an older master key is sealed anew on the way (S11).
 */
export async function useTotpCode(
  em: EntityManager,
  { keyring, clock }: { keyring: Keyring; clock: Clock },
  account: string,
  code: string,
): Promise<boolean> {
  const credentials = totpCredentialsIn(em);
  const credential = await credentials.findConfirmed(account);
  if (!credential) return false;
  const secret = keyring.open(TOTP_PURPOSE, credential.secretSealed);
  const step = totpStep(secret, code, clock.now());
  if (step === undefined || !(await credentials.useStep(account, step))) return false;
  if (keyring.versionOf(credential.secretSealed) !== keyring.current) {
    const secretSealed = keyring.seal(TOTP_PURPOSE, secret);
    await credentials.nativeUpdate({ account }, { secretSealed });
  }
  return true;
}
