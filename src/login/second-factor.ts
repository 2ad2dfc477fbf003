import type { Account } from '../accounts/account.entity.ts';
import { passkeyRefused } from '../passkeys/passkey-refused.ts';
import type { RelyingParty } from '../passkeys/relying-party.ts';
import { readPasskeyClaim, verifyPasskey } from '../passkeys/verify-passkey.ts';
import { countFailure } from '../passwords/count-failure.ts';
import { isLocked, signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { useRecoveryCode } from '../second-factors/recovery-codes.ts';
import { useTotpCode } from '../second-factors/use-totp-code.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

export type SecondFactor =
  | { kind: 'totp'; code: string }
  | { kind: 'recovery_code'; code: string }
  | { kind: 'passkey'; credentialJson: string };

/**
 * Checks a second factor of an account that the transaction has locked. Returns how it was proved (RFC
 * 8176), or undefined if it is wrong. Refuse the call by `tx.refusal` then, so that the count of wrong
 * codes commits, and the lock that may come of it.
 */
export async function checkSecondFactor(
  tx: Transaction,
  needs: { keyring: Keyring; relyingParty: RelyingParty },
  account: Account,
  factor: SecondFactor,
): Promise<string[] | undefined> {
  switch (factor.kind) {
    case 'totp':
      return checkTotp(tx, needs.keyring, account, factor.code);
    case 'recovery_code':
      return checkRecoveryCode(tx, needs.keyring, account.id, factor.code);
    case 'passkey':
      return checkPasskey(tx, needs, account.id, factor.credentialJson);
  }
}

/** The refusal of a wrong second factor. */
export function secondFactorRefused({ kind }: SecondFactor): Failure {
  if (kind === 'passkey') return passkeyRefused();
  return new Failure('unauthenticated', 'MFA_CODE_INVALID', 'the code is not valid');
}

async function checkTotp(
  tx: Transaction,
  keyring: Keyring,
  account: Account,
  code: string,
): Promise<string[] | undefined> {
  const locks = signInLocksIn(tx.em);
  const state = await locks.stateOf(account.id, 'code');
  // The caller is not told about a lock: that would reveal that the code was not even checked.
  if (isLocked(state, tx.now)) return undefined;
  if (!(await useTotpCode(tx, keyring, account.id, code))) {
    await countFailure(tx, keyring, account, 'code');
    return undefined;
  }
  if (state.failures > 0) await locks.forget(account.id, 'code');
  return ['otp'];
}

/** Recovery codes can't be guessed, so no lock or count keeps their owner out. */
async function checkRecoveryCode(
  tx: Transaction,
  keyring: Keyring,
  accountId: string,
  code: string,
): Promise<string[] | undefined> {
  if (!(await useRecoveryCode(tx, keyring, accountId, code))) return undefined;
  await signInLocksIn(tx.em).forget(accountId, 'code');
  tx.audit({ type: 'account.recovery_code_used', actor: accountId, subject: accountId });
  return ['otp'];
}

async function checkPasskey(
  tx: Transaction,
  needs: { keyring: Keyring; relyingParty: RelyingParty },
  accountId: string,
  credentialJson: string,
): Promise<string[] | undefined> {
  const claim = await readPasskeyClaim(tx.em, credentialJson);
  if (claim?.owner !== accountId) return undefined;
  const verified = await verifyPasskey(tx, needs, claim);
  if (!verified) return undefined;
  await signInLocksIn(tx.em).forget(accountId, 'code');
  return verified.amr;
}
