import type { Actor } from '../access/actor.ts';
import { requireReach } from '../access/held-now.ts';
import { refuseLastAdmin } from '../access/last-admin.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { User } from '../accounts/user.ts';
import { recordAudit } from '../audit/record.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { showUser } from './get-user.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

type Suspended = { user: User; afterCommit?: () => void };

/**
 * Has a user not sign in any more. When it returns, the suspension is on record with its audit event and
 * revocations, this replica refuses the user's tokens, and the others do within a second (S09).
 * Idempotent.
 *
 * Throws `NOT_FOUND`, `LAST_ADMIN`, `PERMISSION_DENIED`.
 */
export async function suspendUser(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  { userId, reason }: { userId: string; reason: string },
): Promise<User> {
  const { user, afterCommit } = await deps.database.transaction(
    (em) => suspend(em, deps, caller, actor, userId, reason),
    caller.signal,
  );
  afterCommit?.();
  return user;
}

async function suspend(
  em: EntityManager,
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  userId: string,
  reason: string,
): Promise<Suspended> {
  const account = await accountsIn(em).lockUser(userId);
  const { id } = account;
  await requireReach(em, actor, USERS_WRITE, account);
  if (account.state === 'suspended') return { user: await showUser(em, deps, id) };
  await refuseLastAdmin(em, account);
  const now = deps.clock.now();
  account.state = 'suspended';
  account.updatedAt = now;
  recordAudit(em, deps, caller, {
    type: 'account.suspended',
    actor: actor.id,
    subject: id,
    // Free text, which may name the person.
    ...(reason !== '' && { personal: { reason } }),
  });
  await em.flush();
  await oneTimeTokensIn(em).voidSignInTokens(id, now);
  const cause = 'user_suspended';
  const ended = await endSessions(em, deps, caller, id, cause, { actor: actor.id });
  // What has no session that could end: tokens that API keys were exchanged for.
  const revoked = await deps.revocations.revokeSubject(em, id, cause);
  const afterCommit = () => {
    ended();
    revoked();
  };
  return { user: await showUser(em, deps, id), afterCommit };
}
