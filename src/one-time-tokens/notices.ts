import type { Account } from '../accounts/account.entity.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Notice } from '../mail/templates.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Undo } from './one-time-token.entity.ts';
import { issueOneTimeToken, type OneTimeTokenDeps } from './one-time-token.ts';

export type NoticeDeps = OneTimeTokenDeps & { outbox: Outbox };

/**
 * Tells an account's owner of something that a thief may have done, with a link that
 * AuthService.SecureAccount takes, and which then undoes `undo` too (E06). In the transaction of what
 * it tells of, which has locked the account. `to` is where it goes, where that is not the account's
 * address any more.
 */
export async function sendNotice(
  em: EntityManager,
  deps: NoticeDeps,
  account: Pick<Account, 'id' | 'email' | 'displayName'>,
  notice: Notice,
  { undo, to = account.email }: { undo?: Undo; to?: string } = {},
): Promise<void> {
  const { token } = await issueOneTimeToken(
    em,
    deps,
    account.id,
    'secure_account',
    undo ? { undo } : {},
  );
  const happenedAt = deps.clock.now().toISOString();
  const { displayName } = account;
  await deps.outbox.send(em, { ...notice, to, displayName, token, happenedAt });
}
