import { recordAudit } from '../audit/record.ts';
import type { NoticeDeps } from '../one-time-tokens/notices.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import { inEvenTime } from '../platform/even-time.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { Account } from './account.entity.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail, checkEmail } from './email.ts';

export type ChangeEmailDeps = NoticeDeps & { database: SqlDatabase };

/**
 * Mails a link to the address that the caller wants to have; until its token comes back nothing
 * changes. Where the address belongs to somebody else, they are told instead, and the caller can't tell
 * which (C04). The link before becomes void.
 */
export async function changeEmail(
  deps: ChangeEmailDeps,
  caller: Caller,
  accountId: string,
  newEmail: string,
): Promise<void> {
  checkEmail(newEmail, 'new_email');
  await inEvenTime(async () => {
    await deps.database.transaction(
      (em) => mailLink(em, deps, caller, accountId, newEmail),
      caller.signal,
    );
    deps.outbox.wake();
  }, caller.signal);
}

async function mailLink(
  em: EntityManager,
  deps: ChangeEmailDeps,
  caller: Caller,
  accountId: string,
  newEmail: string,
): Promise<void> {
  const account = await accountsIn(em).lockOwn(accountId);
  const canonical = canonicalEmail(newEmail);
  if (canonical === account.canonicalEmail) throw sameAddress();
  recordAudit(em, deps, caller, {
    type: 'account.email_change_requested',
    actor: accountId,
    subject: accountId,
    personal: { before: { email: account.email }, after: { email: newEmail } },
  });
  const { token } = await issueOneTimeToken(em, deps, account.id, 'change_email', { newEmail });
  const holder = await em.findOne(Account, {
    canonicalEmail: canonical,
    state: { $ne: 'deleted' },
  });
  if (!holder || holder.isUnclaimed) {
    const { displayName } = account;
    await deps.outbox.send(em, { template: 'change_email', to: newEmail, displayName, token });
    return;
  }
  const { email: to, displayName } = holder;
  await deps.outbox.send(em, { template: 'address_taken', to, displayName });
}

function sameAddress(): Failure {
  const description = 'is the address that the account has';
  return new Failure('invalid', 'INVALID_REQUEST', `the new address ${description}`, {
    fields: [{ path: 'new_email', description }],
  });
}
