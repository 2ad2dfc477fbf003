import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import { inEvenTime } from '../platform/even-time.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';

export type RequestPasswordResetDeps = NoticeDeps & { database: SqlDatabase };

/**
 * Mails a link to set a new password, where the address belongs to an account that may sign in, and
 * does nothing otherwise. The caller can't tell which (C04). The link before becomes void (C06).
 */
export async function requestPasswordReset(
  deps: RequestPasswordResetDeps,
  caller: Caller,
  email: string,
): Promise<void> {
  await inEvenTime(async () => {
    await deps.database.transaction(async (em) => {
      const account = await accountsIn(em).lockLive({ canonicalEmail: canonicalEmail(email) });
      if (account?.state !== 'active') return;
      const event = { type: 'account.password_reset_requested', subject: account.id } as const;
      recordAudit(em, deps, caller, event);
      await mailReset(em, deps, account);
    }, caller.signal);
    deps.outbox.wake();
  }, caller.signal);
}

/** Mails the owner of an account that the transaction has locked a link to set a new password. */
export async function mailReset(
  em: EntityManager,
  deps: NoticeDeps,
  { id, email: to, displayName }: Account,
): Promise<void> {
  const { token } = await issueOneTimeToken(em, deps, id, 'reset_password');
  await deps.outbox.send(em, { template: 'reset_password', to, displayName, token });
}
