import { randomBytes } from 'node:crypto';
import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { SECRET_BYTES, totpUri } from './totp.ts';
import { TOTP_PURPOSE, totpCredentialsIn } from './totp-credential.repository.ts';

/**
 * Creates a secret for the caller's authenticator app. Sign-ins don't ask for it until a code has
 * confirmed that the app has it. `issuer` is the name that the app shows.
 *
 * Throws `MFA_STATE` if an app is enrolled already.
 */
export async function beginTotpEnrollment(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  issuer: string,
): Promise<{ secret: string; uri: string }> {
  const secret = randomBytes(SECRET_BYTES);
  const email = await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    const credentials = totpCredentialsIn(tx.em);
    if (await credentials.findConfirmed(account.id)) {
      throw new Failure('precondition', 'MFA_STATE', 'an authenticator app is enrolled already');
    }
    await credentials.upsert({
      account: account.id,
      secretSealed: keyring.seal(TOTP_PURPOSE, secret),
      createdAt: tx.now,
      confirmedAt: null,
      lastStep: 0,
    });
    tx.audit({
      type: 'account.mfa_enrollment_begun',
      subject: account.id,
      details: { factor: 'totp' },
    });
    return account.email;
  });
  return totpUri(secret, issuer, email);
}
