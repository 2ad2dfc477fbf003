import { Account } from '../accounts/account.entity.ts';
import { accountGone, accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type EndSessionsDeps, endSessions } from '../sessions/end-sessions.ts';
import type { Own } from '../sessions/principal.ts';
import { checkOwnPassword } from './check-own-password.ts';
import {
  hashNewPassword,
  lastPasswords,
  type NewPasswordDeps,
  setPassword,
} from './new-password.ts';
import { passwordHistoryIn } from './password-history.repository.ts';

export type ChangePasswordDeps = NewPasswordDeps &
  NoticeDeps &
  EndSessionsDeps & { database: SqlDatabase };

export type ChangePassword = { currentPassword: string; newPassword: string };

/**
 * Changes the caller's password by the current one. Their other sessions end, mailed reset links and
 * sign-ins under way become void, and they are told by mail (C07).
 *
 * Throws `INVALID_CREDENTIALS`, `ACCOUNT_LOCKED`, `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`.
 */
export async function changePassword(
  deps: ChangePasswordDeps,
  caller: Caller,
  own: Own,
  { currentPassword, newPassword }: ChangePassword,
): Promise<void> {
  const passwordHash = await checkOwnPassword(deps, caller, own.accountId, currentPassword);
  if (passwordHash === undefined) throw wrongPassword();
  const { account, last } = await deps.database.read(async (em) => {
    const account = await em.findOne(Account, { id: own.accountId });
    return { account, last: await lastPasswords(em, deps, own.accountId) };
  }, caller.signal);
  if (!account) throw accountGone();
  const next = await hashNewPassword(deps, account, last, newPassword, caller.signal);
  const afterCommit = await deps.database.transaction(
    (em) => change(em, deps, caller, own, passwordHash, next),
    caller.signal,
  );
  afterCommit();
  deps.outbox.wake();
}

/** Unless the password was changed while this change was on its way: then it is by the wrong one. */
async function change(
  em: EntityManager,
  deps: ChangePasswordDeps,
  caller: Caller,
  { accountId, sessionId }: Own,
  from: string,
  to: string,
): Promise<() => void> {
  const account = await accountsIn(em).lockOwn(accountId);
  if ((await passwordHistoryIn(em).current(accountId)) !== from) throw wrongPassword();
  await setPassword(em, deps, account, to);
  await oneTimeTokensIn(em).voidSignInTokens(accountId, deps.clock.now());
  const event = { type: 'account.password_changed', actor: accountId, subject: accountId } as const;
  recordAudit(em, deps, caller, event);
  await sendNotice(em, deps, account, { template: 'password_changed' });
  return endSessions(em, deps, caller, accountId, 'password_changed', { except: sessionId });
}

function wrongPassword(): Failure {
  const description = 'is not the password of the account';
  return new Failure('invalid', 'INVALID_CREDENTIALS', `the current password ${description}`, {
    fields: [{ path: 'current_password', description }],
  });
}
