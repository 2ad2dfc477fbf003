import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import { consumeOneTimeToken, invalidToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type EndSessionsDeps, endSessions } from '../sessions/end-sessions.ts';
import type { Own } from '../sessions/principal.ts';
import { takeAddress } from './take-address.ts';

export type ConfirmEmailChangeDeps = NoticeDeps & EndSessionsDeps & { database: SqlDatabase };

/**
 * Gives an account the address that the token was mailed to. What was mailed to the old one before
 * becomes void, other sessions than the caller's end, and the old address gets a link that takes it
 * back.
 *
 * Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`, `EMAIL_TAKEN`.
 */
export async function confirmEmailChange(
  deps: ConfirmEmailChangeDeps,
  caller: Caller,
  token: string,
  own: Own | undefined,
): Promise<void> {
  const afterCommit = await deps.database.transaction(
    (em) => confirm(em, deps, caller, token, own),
    caller.signal,
  );
  afterCommit();
  deps.outbox.wake();
}

async function confirm(
  em: EntityManager,
  deps: ConfirmEmailChangeDeps,
  caller: Caller,
  token: string,
  own: Own | undefined,
): Promise<() => void> {
  const now = deps.clock.now();
  const { account, details } = await consumeOneTimeToken(em, deps, token, 'change_email');
  const { newEmail } = details;
  if (newEmail === undefined) throw invalidToken('change_email');
  const { email: oldEmail } = account;
  await takeAddress(em, account, newEmail, now);
  await oneTimeTokensIn(em).voidSignInTokens(account.id, now);
  recordAudit(em, deps, caller, {
    type: 'account.email_changed',
    actor: account.id,
    subject: account.id,
    personal: { before: { email: oldEmail }, after: { email: newEmail } },
  });
  const notice = { template: 'email_changed' as const, newEmail };
  await sendNotice(em, deps, account, notice, { to: oldEmail, undo: { email: oldEmail } });
  const except = own?.accountId === account.id ? own.sessionId : undefined;
  return endSessions(em, deps, caller, account.id, 'email_changed', { except });
}
