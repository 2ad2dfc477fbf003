import type { Caller } from '../platform/caller.ts';
import type { ListSessionsDeps } from './list-sessions.ts';
import {
  liveSessions,
  noSuchSession,
  type SessionReader,
  type SessionView,
} from './session-view.ts';

/**
 * One live session: the caller's own, or with `sessions.read` anybody's. Throws `NOT_FOUND`, which tells
 * nobody whether somebody else has it (S10).
 */
export async function getSession(
  { database, clock, tokens }: ListSessionsDeps,
  caller: Caller,
  reader: SessionReader,
  sessionId: string,
): Promise<SessionView> {
  const everybodys = reader.permissions.includes('sessions.read');
  const [session] = await database.read(
    (em) =>
      liveSessions(em, {
        sessionId,
        ...(everybodys ? {} : { accountId: reader.accountId }),
        limit: 1,
        now: clock.now(),
        idleTtlMs: tokens.sessionIdleTtlMs,
      }),
    caller.signal,
  );
  if (!session) throw noSuchSession();
  return session;
}
