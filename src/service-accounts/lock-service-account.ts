import type { EntityManager } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { ServiceAccount } from './service-account.entity.ts';

/** A service account, locked until the transaction ends. Throws `NOT_FOUND`. */
export async function lockServiceAccount(em: EntityManager, id: string): Promise<ServiceAccount> {
  const found = await em.getRepository(ServiceAccount).lockLive(id.toLowerCase());
  if (!found) throw noSuchServiceAccount();
  return found;
}

export function noSuchServiceAccount(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such service account');
}
