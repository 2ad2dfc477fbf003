import { type Caller, holds } from '../platform/caller.ts';
import type { Database, Together } from '../unit-of-work/database.ts';
import {
  noSuchSession,
  type OneSession,
  type SessionView,
  sessionViewsIn,
} from './session-view.repository.ts';

/**
 * Returns a live session: the caller's own, or with `sessions.read` anyone's. Throws `NOT_FOUND`, which
 * does not reveal whether the session is someone else's (S10).
 */
export async function getSession(
  { database, tokens }: { database: Database; tokens: { sessionIdleTtlMs: number } },
  caller: Caller,
  sessionId: string,
): Promise<SessionView> {
  const accountId = holds(caller, 'sessions.read') ? undefined : caller.subject;
  const { sessionIdleTtlMs: idleTtlMs } = tokens;
  const session = await database.together(caller, liveEach, { accountId, sessionId, idleTtlMs });
  if (!session) throw noSuchSession();
  return session;
}

/** The sessions that all who ask at once ask for, in one statement. */
const liveEach: Together<OneSession, SessionView | undefined> = (em, now, asked) =>
  sessionViewsIn(em).liveEach(asked, now);
