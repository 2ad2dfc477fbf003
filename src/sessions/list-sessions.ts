import { type Caller, holds } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type SessionView, sessionViewsIn } from './session-view.repository.ts';

const PERMISSION = 'sessions.read';

/**
 * Lists the live sessions of the caller, or with `sessions.read` of anyone (S10), newest first. An
 * empty `userId` stands for the caller.
 *
 * Throws `PERMISSION_DENIED`, and `INVALID_REQUEST` for a page token of another query.
 */
export async function listSessions(
  needs: { database: Database; keyring: Keyring; tokens: { sessionIdleTtlMs: number } },
  caller: Caller,
  request: PageRequest & { userId: string },
): Promise<{ sessions: SessionView[]; nextPageToken: string }> {
  const { database, keyring, tokens } = needs;
  const accountId = request.userId === '' ? caller.subject : request.userId.toLowerCase();
  if (accountId !== caller.subject && !holds(caller, PERMISSION)) throw permissionNeeded();
  const idleTtlMs = tokens.sessionIdleTtlMs;
  const { items: sessions, nextPageToken } = await readPage(
    keyring,
    ['sessions', accountId],
    request,
    (before, limit) =>
      database.read(caller, (em, now) =>
        sessionViewsIn(em).live({ accountId, before, limit, now, idleTtlMs }),
      ),
    (session) => session.sessionId,
  );
  return { sessions, nextPageToken };
}

function permissionNeeded(): Failure {
  const message = `the permission ${PERMISSION} is needed for the sessions of others`;
  return new Failure('denied', 'PERMISSION_DENIED', message, {
    metadata: { permission: PERMISSION },
  });
}
