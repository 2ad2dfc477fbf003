import type { EntityManager } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { Account } from './account.entity.ts';

/** Who calls, by the access token that they showed. */
export type Own = { accountId: string; sessionId: string };

/** The caller's account, locked until the transaction ends. Throws `TOKEN_REVOKED` once it is gone. */
export async function lockOwnAccount(em: EntityManager, accountId: string): Promise<Account> {
  const account = await em.getRepository(Account).lockLive({ id: accountId });
  if (!account) throw accountGone();
  return account;
}

export function accountGone(): Failure {
  return new Failure('unauthenticated', 'TOKEN_REVOKED', 'the account is no longer there');
}
