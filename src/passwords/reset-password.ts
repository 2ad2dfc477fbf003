import { Account } from '../accounts/account.entity.ts';
import { recordAudit } from '../audit/record.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import {
  consumeOneTimeToken,
  invalidToken,
  readOneTimeToken,
} from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { ChangePasswordDeps } from './change-password.ts';
import { hashNewPassword, lastPasswords, setPassword } from './new-password.ts';

/**
 * Sets a password by a mailed token, which works once (C06). All sessions end, the owner is told by
 * mail, and the second factor stays as it is (C07). The token proves the address, too.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`, `PASSWORD_TOO_WEAK`, `PASSWORD_REUSED`. A refused password
 * leaves the token valid.
 */
export async function resetPassword(
  deps: ChangePasswordDeps,
  caller: Caller,
  token: string,
  newPassword: string,
): Promise<void> {
  const { account, last } = await deps.database.read(async (em) => {
    const { accountId } = await readOneTimeToken(em, deps, token, 'reset_password');
    const account = await em.findOne(Account, { id: accountId });
    return { account, last: await lastPasswords(em, deps, accountId) };
  }, caller.signal);
  if (!account) throw invalidToken('reset_password');
  const hash = await hashNewPassword(deps, account, last, newPassword, caller.signal);
  const afterCommit = await deps.database.transaction(
    (em) => reset(em, deps, caller, token, hash),
    caller.signal,
  );
  afterCommit();
  deps.outbox.wake();
}

async function reset(
  em: EntityManager,
  deps: ChangePasswordDeps,
  caller: Caller,
  token: string,
  passwordHash: string,
): Promise<() => void> {
  const { account } = await consumeOneTimeToken(em, deps, token, 'reset_password');
  const now = deps.clock.now();
  await setPassword(em, deps, account, passwordHash);
  account.emailVerifiedAt ??= now;
  await oneTimeTokensIn(em).voidSignInTokens(account.id, now);
  recordAudit(em, deps, caller, {
    type: 'account.password_reset',
    actor: account.id,
    subject: account.id,
  });
  await sendNotice(em, deps, account, { template: 'password_changed' });
  return endSessions(em, deps, caller, account.id, 'password_reset');
}
