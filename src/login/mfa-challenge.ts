import { recordAudit } from '../audit/record.ts';
import { issueOneTimeToken, type OneTimeTokenDeps } from '../one-time-tokens/one-time-token.ts';
import { Passkey } from '../passkeys/passkey.entity.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { RecoveryCode } from '../second-factors/recovery-code.entity.ts';

type MfaFactor = 'totp' | 'recovery_code' | 'passkey';

/** What stands between a right password and a session. */
export type MfaChallenge = { token: string; factors: MfaFactor[]; expiresAt: Date };

/** Asks for the second factor of an account that has one, in a transaction that has locked it. */
export async function challengeFor(
  em: EntityManager,
  deps: OneTimeTokenDeps,
  caller: Caller,
  account: { id: string },
  deviceLabel: string,
): Promise<MfaChallenge> {
  // Somebody knows the password, which its owner may want to know of.
  recordAudit(em, deps, caller, { type: 'sign_in.challenged', subject: account.id });
  const details = { deviceLabel };
  const challenge = await issueOneTimeToken(em, deps, account.id, 'mfa_challenge', details);
  const factors: MfaFactor[] = ['totp'];
  const codes = await em.count(RecoveryCode, { account: account.id, usedAt: null });
  if (codes > 0) factors.push('recovery_code');
  if ((await em.count(Passkey, { account: account.id })) > 0) factors.push('passkey');
  return { ...challenge, factors };
}
