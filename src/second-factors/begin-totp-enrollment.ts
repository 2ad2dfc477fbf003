import { randomBytes } from 'node:crypto';
import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { SECRET_BYTES, totpUri } from './totp.ts';
import { TotpCredential } from './totp-credential.entity.ts';
import { totpCredentialsIn } from './totp-credential.repository.ts';
import { TOTP_PURPOSE } from './use-totp-code.ts';

export type TotpDeps = { database: SqlDatabase; clock: Clock; keyring: Keyring };

/**
 * Makes a secret for the account's authenticator app. Nothing asks for it before a code has confirmed
 * that the app has it. `issuer` is the name that the app shows.
 *
 * Throws `MFA_STATE` where an app is enrolled already.
 */
export async function beginTotpEnrollment(
  deps: TotpDeps,
  caller: Caller,
  accountId: string,
  issuer: string,
): Promise<{ secret: string; uri: string }> {
  const secret = randomBytes(SECRET_BYTES);
  const email = await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(accountId);
    const confirmed = await totpCredentialsIn(em).findConfirmed(accountId);
    if (confirmed) {
      throw new Failure('precondition', 'MFA_STATE', 'an authenticator app is enrolled already');
    }
    await em.upsert(TotpCredential, {
      account: accountId,
      secretSealed: deps.keyring.seal(TOTP_PURPOSE, secret),
      createdAt: deps.clock.now(),
      confirmedAt: null,
      lastStep: 0,
    });
    recordAudit(em, deps, caller, {
      type: 'account.mfa_enrollment_begun',
      actor: accountId,
      subject: accountId,
      details: { factor: 'totp' },
    });
    return account.email;
  }, caller.signal);
  return totpUri(secret, issuer, email);
}
