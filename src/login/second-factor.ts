import type { Account } from '../accounts/account.entity.ts';
import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import { type VerifyPasskeyDeps, verifyPasskey } from '../passkeys/verify-passkey.ts';
import { countFailure } from '../passwords/count-failure.ts';
import { isLocked, signInLocksIn } from '../passwords/sign-in-lock.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { useRecoveryCode } from '../second-factors/recovery-codes.ts';
import { useTotpCode } from '../second-factors/use-totp-code.ts';

export type SecondFactor =
  | { kind: 'totp'; code: string }
  | { kind: 'recovery_code'; code: string }
  | { kind: 'passkey'; credentialJson: string };

export type SecondFactorDeps = NoticeDeps & VerifyPasskeyDeps;

/** How the factor was proved (RFC 8176), or what the caller is told. */
export type CheckedFactor = { amr: string[] } | { failure: Failure };

/**
 * Checks a second factor of an account that the transaction has locked. A refusal is returned, so that
 * what it leaves commits: the count of wrong codes, and the lock that may come of it.
 */
export async function checkSecondFactor(
  em: EntityManager,
  deps: SecondFactorDeps,
  caller: Caller,
  account: Account,
  factor: SecondFactor,
): Promise<CheckedFactor> {
  switch (factor.kind) {
    case 'totp':
      return checkTotp(em, deps, caller, account, factor.code);
    case 'recovery_code':
      return checkRecoveryCode(em, deps, caller, account, factor.code);
    case 'passkey':
      return checkPasskey(em, deps, caller, account, factor.credentialJson);
  }
}

async function checkTotp(
  em: EntityManager,
  deps: SecondFactorDeps,
  caller: Caller,
  account: Account,
  code: string,
): Promise<CheckedFactor> {
  const locks = signInLocksIn(em);
  const state = await locks.stateOf(account.id, 'code');
  // A lock is not mentioned: it would tell that the code was not even looked at.
  if (isLocked(state, deps.clock.now())) return { failure: wrongCode() };
  if (!(await useTotpCode(em, deps, account.id, code))) {
    await countFailure(em, deps, caller, account, 'code');
    return { failure: wrongCode() };
  }
  if (state.failures > 0) await locks.forget(account.id, 'code');
  return { amr: ['otp', 'mfa'] };
}

/** Recovery codes can't be guessed, so that neither a lock nor a count keeps their owner out. */
async function checkRecoveryCode(
  em: EntityManager,
  deps: SecondFactorDeps,
  caller: Caller,
  account: Account,
  code: string,
): Promise<CheckedFactor> {
  if (!(await useRecoveryCode(em, deps, account.id, code, deps.clock.now()))) {
    return { failure: wrongCode() };
  }
  await signInLocksIn(em).forget(account.id, 'code');
  recordAudit(em, deps, caller, {
    type: 'account.recovery_code_used',
    actor: account.id,
    subject: account.id,
  });
  return { amr: ['otp', 'mfa'] };
}

async function checkPasskey(
  em: EntityManager,
  deps: SecondFactorDeps,
  caller: Caller,
  { id: accountId }: Account,
  credentialJson: string,
): Promise<CheckedFactor> {
  const verified = await verifyPasskey(em, deps, caller, { credentialJson, accountId });
  if ('refused' in verified) return { failure: verified.refused };
  await signInLocksIn(em).forget(accountId, 'code');
  return { amr: verified.amr };
}

function wrongCode(): Failure {
  return new Failure('unauthenticated', 'MFA_CODE_INVALID', 'the code is not valid');
}
