import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { RevocationCause } from '../revocations/revocation-cause.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { sessionsIn } from './session.repository.ts';

export type EndSessionsDeps = { clock: Clock; revocations: RevocationFeed };

/** Who ends them, where that is not their owner, and which one stays. */
type Ending = { actor?: string | undefined; except?: string | undefined };

/**
 * Ends all sessions of an account, but for `except`, in the transaction of what is the cause. Gives
 * what to do once that has committed: from then on this replica refuses their tokens, and the others
 * do within a second (S09).
 */
export async function endAllSessions(
  em: EntityManager,
  deps: EndSessionsDeps,
  caller: Caller,
  accountId: string,
  cause: RevocationCause,
  { actor = accountId, except }: Ending = {},
): Promise<{ count: number; afterCommit: () => void }> {
  const now = deps.clock.now();
  const sessionIds = await sessionsIn(em).endAll(accountId, cause, now, except);
  if (sessionIds.length > 0) {
    recordAudit(em, deps, caller, {
      type: 'sessions.ended',
      actor,
      subject: accountId,
      details: { cause, session_ids: sessionIds },
    });
  }
  const afterCommit = await deps.revocations.revokeSessions(em, sessionIds, cause);
  return { count: sessionIds.length, afterCommit };
}

/** The same, for whoever does not ask how many there were. */
export async function endSessions(...of: Parameters<typeof endAllSessions>): Promise<() => void> {
  return (await endAllSessions(...of)).afterCommit;
}
