import type { AuditEntry } from '../audit/audit-entry.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import { Failure } from '../platform/failure.ts';
import type { Refusal, Transaction } from '../unit-of-work/transaction.ts';

/**
 * For `throw`: refuses a sign-in, commits what the transaction has written so far, and queues the audit
 * event, so that a refusal takes no longer than a success. `subject` is the account, if it is known.
 */
export function refuseSignIn(
  tx: Transaction,
  auditQueue: AuditQueue,
  failure: Failure,
  subject?: string,
): Refusal {
  tx.afterCommit(() => auditQueue.add(tx.caller, failedSignIn(failure, subject)));
  return tx.refusal(failure);
}

/** The audit event of a refused sign-in. */
export function failedSignIn({ reason }: Failure, subject?: string): AuditEntry {
  return { type: 'sign_in.failed', actor: null, subject, outcome: 'failure', reason };
}

/** The single answer to a wrong password, an unknown address, and a lock. */
export function invalidCredentials(): Failure {
  return new Failure(
    'unauthenticated',
    'INVALID_CREDENTIALS',
    'the address or the password is wrong',
  );
}

/** Why an account whose owner has proved who they are may not sign in; undefined if it may. */
export function notAdmitted(
  account: { state: string; isVerified: boolean },
  requireVerifiedEmail: boolean,
): Failure | undefined {
  if (account.state === 'suspended') {
    return new Failure('denied', 'ACCOUNT_SUSPENDED', 'the account has been suspended');
  }
  if (requireVerifiedEmail && !account.isVerified) {
    const message = 'the address has not been verified yet; open the link that was mailed to it';
    return new Failure('precondition', 'EMAIL_NOT_VERIFIED', message);
  }
  return undefined;
}
