import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import { passkeysIn } from '../passkeys/passkey.repository.ts';
import type { Keyring } from '../platform/crypto.ts';
import { recoveryCodesIn } from '../second-factors/recovery-code.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

type MfaFactor = 'totp' | 'recovery_code' | 'passkey';

/** Asks for a second factor between a first one and a session. */
export type MfaChallenge = { token: string; factors: MfaFactor[]; expiresAt: Date };

/**
 * Creates the challenge of an account with a second factor that the transaction has locked. `amr` says how the
 * first factor was proved (RFC 8176).
 */
export async function issueMfaChallenge(
  tx: Transaction,
  keyring: Keyring,
  account: string,
  details: { deviceLabel: string; amr: string[]; idp?: string; provedAt?: number },
): Promise<MfaChallenge> {
  // Someone has the first factor: the owner may want to find that in their history.
  tx.audit({ type: 'sign_in.challenged', actor: null, subject: account });
  const token = await issueOneTimeToken(tx, keyring, account, 'mfa_challenge', { details });
  const factors: MfaFactor[] = ['totp'];
  if ((await recoveryCodesIn(tx.em).countUnused(account)) > 0) factors.push('recovery_code');
  if ((await passkeysIn(tx.em).count({ account })) > 0) factors.push('passkey');
  return { ...token, factors };
}
