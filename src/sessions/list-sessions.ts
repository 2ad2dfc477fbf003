import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { pagePosition, pageToken } from '../platform/page-token.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { liveSessions, type SessionReader, type SessionView } from './session-view.ts';

const DEFAULT_PAGE_SIZE = 50;
const PERMISSION = 'sessions.read';

export type ListSessionsDeps = {
  database: SqlDatabase;
  clock: Clock;
  keyring: Keyring;
  tokens: { sessionIdleTtlMs: number };
};

export type ListSessions = {
  /** Empty: the caller's own. */
  userId: string;
  /** 0: the default. */
  pageSize: number;
  pageToken: string;
};

/**
 * The live sessions of the caller, or with `sessions.read` of anybody (S10), the newest first. A page
 * costs the same wherever it is.
 *
 * Throws `PERMISSION_DENIED`, and `INVALID_REQUEST` for a page token of another query.
 */
export async function listSessions(
  deps: ListSessionsDeps,
  caller: Caller,
  reader: SessionReader,
  request: ListSessions,
): Promise<{ sessions: SessionView[]; nextPageToken: string }> {
  const accountId = request.userId === '' ? reader.accountId : request.userId.toLowerCase();
  if (accountId !== reader.accountId && !reader.permissions.includes(PERMISSION)) {
    const message = `the permission ${PERMISSION} is needed for the sessions of others`;
    throw new Failure('denied', 'PERMISSION_DENIED', message, {
      metadata: { permission: PERMISSION },
    });
  }
  const query = ['sessions', accountId];
  const before = pagePosition(deps.keyring, query, request.pageToken);
  const limit = request.pageSize || DEFAULT_PAGE_SIZE;
  const sessions = await deps.database.read(
    (em) =>
      liveSessions(em, {
        accountId,
        before,
        limit: limit + 1,
        now: deps.clock.now(),
        idleTtlMs: deps.tokens.sessionIdleTtlMs,
      }),
    caller.signal,
  );
  const page = sessions.slice(0, limit);
  const last = page.at(-1);
  const hasMore = sessions.length > limit && last !== undefined;
  return {
    sessions: page,
    nextPageToken: hasMore ? pageToken(deps.keyring, query, last.sessionId) : '',
  };
}
