import type { AuditQueue } from '../audit/audit-queue.ts';
import { passkeyRefused } from '../passkeys/passkey-refused.ts';
import type { RelyingParty } from '../passkeys/relying-party.ts';
import { readPasskeyClaim, verifyPasskey } from '../passkeys/verify-passkey.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { IssuedTokens, TokenIssuer } from '../sessions/token-issuer.ts';
import type { Database } from '../unit-of-work/database.ts';
import { completeSignIn } from './complete-sign-in.ts';
import { notAdmitted, refuseSignIn } from './refusals.ts';
import { lockForSignIn } from './sign-in-state.ts';

export type PasskeyLogin = { credentialJson: string; deviceLabel: string };

/**
 * Signs in by passkey and opens a session. The passkey has verified its user, so it counts as two
 * factors. It also signs in to an account whose password is locked. The answer works once (C06).
 *
 * Throws `MFA_CODE_INVALID`; only if the answer is correct, `ACCOUNT_SUSPENDED` and
 * `EMAIL_NOT_VERIFIED`. The audit events of refusals are queued; those of sign-ins commit with them.
 */
export async function finishPasskeyLogin(
  needs: {
    database: Database;
    keyring: Keyring;
    relyingParty: RelyingParty;
    tokenIssuer: TokenIssuer;
    auditQueue: AuditQueue;
    requireVerifiedEmail: boolean;
  },
  caller: Caller,
  { credentialJson, deviceLabel }: PasskeyLogin,
): Promise<IssuedTokens> {
  const { database, auditQueue, requireVerifiedEmail } = needs;
  return database.transaction(caller, async (tx) => {
    const claim = await readPasskeyClaim(tx.em, credentialJson);
    const verified = claim && (await verifyPasskey(tx, needs, claim));
    if (!verified) throw refuseSignIn(tx, auditQueue, passkeyRefused(), claim?.owner);
    const { account, amr } = verified;
    const failure = notAdmitted(account, requireVerifiedEmail);
    if (failure) throw refuseSignIn(tx, auditQueue, failure, account.id);
    const state = await lockForSignIn(tx.em, account.id, { ...caller, deviceLabel });
    const isNewDevice = state?.isNewDevice === true;
    return completeSignIn(tx, needs, { account, amr, deviceLabel, isNewDevice });
  });
}
