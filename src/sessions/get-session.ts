import { type Caller, holds } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { noSuchSession, type SessionView, sessionViewsIn } from './session-view.repository.ts';

/**
 * Returns a live session: the caller's own, or with `sessions.read` anyone's. Throws `NOT_FOUND`, which
 * does not reveal whether the session is someone else's (S10).
 */
export async function getSession(
  { database, tokens }: { database: Database; tokens: { sessionIdleTtlMs: number } },
  caller: Caller,
  sessionId: string,
): Promise<SessionView> {
  const whose = holds(caller, 'sessions.read') ? {} : { accountId: caller.subject };
  const idleTtlMs = tokens.sessionIdleTtlMs;
  const [session] = await database.read(caller, (em, now) =>
    sessionViewsIn(em).live({ ...whose, sessionId, limit: 1, now, idleTtlMs }),
  );
  if (!session) throw noSuchSession();
  return session;
}
