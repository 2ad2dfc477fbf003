import type { EntityManager } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { Account } from './account.entity.ts';

/** A user whom an administrator names, locked until the transaction ends. Throws `NOT_FOUND`. */
export async function lockUser(em: EntityManager, userId: string): Promise<Account> {
  const account = await em.getRepository(Account).lockLive({ id: userId.toLowerCase() });
  if (!account) throw noSuchUser();
  return account;
}

export function noSuchUser(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such user');
}
