import type { Actor } from '../access/actor.ts';
import { requireReach } from '../access/held-now.ts';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { checkEmail } from '../accounts/email.ts';
import { takeAddress } from '../accounts/take-address.ts';
import { etagMismatch, notEditable } from '../accounts/update-me.ts';
import type { User } from '../accounts/user.ts';
import { recordAudit } from '../audit/record.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { showUser } from './get-user.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

const EDITABLE: ReadonlySet<string> = new Set(['display_name', 'email', '*']);

export type UpdateUser = {
  userId: string;
  displayName: string;
  email: string;
  /** Empty: no matter which version of the account is changed. */
  etag: string;
  /** Field names (AIP-134). Empty: what can be changed and is not empty. */
  mask: readonly string[];
};

type Updated = { user: User; afterCommit?: (() => void) | undefined };

/**
 * Changes a user who may do no more than the actor. A new address has to be proved again; the old one
 * gets a link that takes it back (E06), and the sessions end.
 *
 * Throws `NOT_FOUND`, `INVALID_REQUEST`, `ETAG_MISMATCH`, `EMAIL_TAKEN`, `PERMISSION_DENIED`.
 */
export async function updateUser(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  request: UpdateUser,
): Promise<User> {
  const { mask, userId, email, displayName } = request;
  const wrong = mask.filter((name) => !EDITABLE.has(name));
  if (wrong.length > 0) throw notEditable(wrong);
  if (userId === '') throw missing('user.user_id');
  const isNamed = (field: string, value: string) =>
    mask.length === 0 ? value !== '' : mask.includes(field) || mask.includes('*');
  const changes = {
    displayName: isNamed('display_name', displayName) ? displayName : undefined,
    email: isNamed('email', email) ? email : undefined,
  };
  if (changes.email === '') throw missing('user.email');
  if (changes.email !== undefined) checkEmail(changes.email, 'user.email');
  const { user, afterCommit } = await deps.database.transaction(
    (em) => change(em, deps, caller, actor, request, changes),
    caller.signal,
  );
  afterCommit?.();
  deps.outbox.wake();
  return user;
}

type Changes = { displayName: string | undefined; email: string | undefined };

async function change(
  em: EntityManager,
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  { userId, etag }: UpdateUser,
  { displayName, email }: Changes,
): Promise<Updated> {
  const account = await accountsIn(em).lockUser(userId);
  await requireReach(em, actor, USERS_WRITE, account);
  const before = await showUser(em, deps, userId);
  if (etag !== '' && etag !== before.etag) throw etagMismatch();
  const isRenaming = displayName !== undefined && displayName !== account.displayName;
  const isMoving = email !== undefined && email !== account.email;
  if (!isRenaming && !isMoving) return { user: before };
  account.updatedAt = deps.clock.now();
  if (isRenaming) rename(em, deps, caller, actor, account, displayName);
  const afterCommit = isMoving ? await move(em, deps, caller, actor, account, email) : undefined;
  await em.flush();
  return { user: await showUser(em, deps, userId), afterCommit };
}

function rename(
  em: EntityManager,
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  account: Account,
  displayName: string,
): void {
  const before = account.displayName;
  account.displayName = displayName;
  recordAudit(em, deps, caller, {
    type: 'account.updated',
    actor: actor.id,
    subject: account.id,
    details: { fields: ['display_name'] },
    personal: { before: { display_name: before }, after: { display_name: displayName } },
  });
}

/** Gives the account another address, which its owner has yet to prove. */
async function move(
  em: EntityManager,
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  account: Account,
  email: string,
): Promise<() => void> {
  const now = deps.clock.now();
  const { email: oldEmail, id, displayName, isVerified } = account;
  account.invitedAt ??= now;
  await takeAddress(em, account, email, now, null);
  await oneTimeTokensIn(em).voidSignInTokens(id, now);
  recordAudit(em, deps, caller, {
    type: 'account.email_changed',
    actor: actor.id,
    subject: id,
    personal: { before: { email: oldEmail }, after: { email } },
  });
  const notice = { template: 'email_changed' as const, newEmail: email };
  const undo = isVerified ? { undo: { email: oldEmail } } : {};
  await sendNotice(em, deps, account, notice, { to: oldEmail, ...undo });
  const { token } = await issueOneTimeToken(em, deps, id, 'verify_email');
  await deps.outbox.send(em, { template: 'verify_email', to: email, displayName, token });
  return endSessions(em, deps, caller, id, 'email_changed', { actor: actor.id });
}

function missing(path: string): Failure {
  const description = 'has to be given';
  return new Failure('invalid', 'INVALID_REQUEST', `${path} ${description}`, {
    fields: [{ path, description }],
  });
}
