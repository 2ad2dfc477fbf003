import type { RevocationCause } from '../revocations/revocation-cause.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { sessionsIn } from './session.repository.ts';

/**
 * Ends all sessions of an account, except `except`, in the transaction of their cause, and returns how
 * many there were. From the commit on this replica refuses their tokens, and the others do within a
 * second (S09). `actor` is who ends them: by default the caller, or the owner if nobody is signed in.
 */
export async function endSessions(
  tx: Transaction,
  accountId: string,
  cause: RevocationCause,
  { except, actor }: { except?: string | undefined; actor?: string } = {},
): Promise<number> {
  const ids = await sessionsIn(tx.em).endAll(accountId, cause, tx.now, except);
  if (ids.length === 0) return 0;
  const isAnonymous = tx.caller.kind === 'anonymous';
  tx.audit({
    type: 'sessions.ended',
    actor: actor ?? (isAnonymous ? accountId : undefined),
    subject: accountId,
    details: { cause, session_ids: ids },
  });
  await tx.revoke(
    ids.map((id) => ({ kind: 'session', id })),
    cause,
  );
  return ids.length;
}
