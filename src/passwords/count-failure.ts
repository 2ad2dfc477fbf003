import type { Account } from '../accounts/account.entity.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { GuessableFactor } from './sign-in-lock.entity.ts';
import { FOR_GOOD, isLocked, type LockState, signInLocksIn } from './sign-in-lock.repository.ts';

/**
 * Counts a wrong password or code of an account that the transaction has locked (C05). Refuse the call
 * by `tx.refusal`, so that the count commits. If the count locks the factor, a mail tells the owner,
 * once for each lock.
 */
export async function countFailure(
  tx: Transaction,
  keyring: Keyring,
  account: Account,
  factor: GuessableFactor,
): Promise<void> {
  const state = await signInLocksIn(tx.em).countFailure(account.id, factor, tx.now);
  if (!state || !isLocked(state, tx.now)) return;
  tx.audit({
    type: 'account.locked',
    actor: null,
    subject: account.id,
    outcome: 'failure',
    reason: 'ACCOUNT_LOCKED',
    details: { factor, failures: state.failures, until: state.lockedUntil?.toISOString() },
  });
  const notice = { template: 'account_locked' as const, factor, forGood: isForGood(state) };
  await sendNotice(tx, keyring, account, notice);
}

function isForGood({ lockedUntil }: LockState): boolean {
  return lockedUntil !== undefined && lockedUntil >= FOR_GOOD;
}

/** The refusal while a lock lasts, for a caller who is known to be the account's owner. */
export function accountLocked(state: LockState, now: Date): Failure {
  const tooMany = 'too many wrong passwords were given';
  if (isForGood(state)) {
    return new Failure('denied', 'ACCOUNT_LOCKED', `${tooMany}; reset the password by mail`);
  }
  const retryAfterMs = (state.lockedUntil ?? now).getTime() - now.getTime();
  const message = `${tooMany}; try again later`;
  return new Failure('denied', 'ACCOUNT_LOCKED', message, { retryAfterMs });
}
