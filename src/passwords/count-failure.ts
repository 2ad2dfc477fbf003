import type { Account } from '../accounts/account.entity.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { GuessableFactor } from './sign-in-lock.entity.ts';
import { FOR_GOOD, isLocked, type LockState, signInLocksIn } from './sign-in-lock.repository.ts';

/**
 * Counts a wrong password or code of an account (C05), in a transaction that has locked the account
 * and commits although the caller is refused. Where that locks the factor, the owner is told, once for
 * each lock.
 */
export async function countFailure(
  em: EntityManager,
  deps: NoticeDeps,
  caller: Caller,
  account: Account,
  factor: GuessableFactor,
): Promise<void> {
  const now = deps.clock.now();
  const state = await signInLocksIn(em).countFailure(account.id, factor, now);
  if (!state || !isLocked(state, now)) return;
  recordAudit(em, deps, caller, {
    type: 'account.locked',
    subject: account.id,
    outcome: 'failure',
    reason: 'ACCOUNT_LOCKED',
    details: { factor, failures: state.failures, until: state.lockedUntil?.toISOString() },
  });
  const notice = { template: 'account_locked' as const, factor, forGood: isForGood(state) };
  await sendNotice(em, deps, account, notice);
}

function isForGood({ lockedUntil }: LockState): boolean {
  return lockedUntil !== undefined && lockedUntil >= FOR_GOOD;
}

/** What a caller who is known to be the account's owner is told while a lock lasts. */
export function accountLocked(state: LockState, now: Date): Failure {
  const retryAfterMs = (state.lockedUntil ?? now).getTime() - now.getTime();
  return new Failure(
    'denied',
    'ACCOUNT_LOCKED',
    'too many wrong passwords or codes were given; none is checked for now',
    isForGood(state) ? {} : { retryAfterMs },
  );
}
