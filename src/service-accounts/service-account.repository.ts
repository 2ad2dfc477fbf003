import { LockMode } from '@mikro-orm/core';
import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { ServiceAccount } from './service-account.entity.ts';

/** The statements on service accounts. */
export class ServiceAccountRepository extends Repository<ServiceAccount> {
  /** The service account with this id unless it was deleted, locked until the transaction ends. */
  lockLive(id: string): Promise<ServiceAccount | null> {
    return this.findOne(
      { id, state: { $ne: 'deleted' } },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
  }

  /** The service account with this id, locked until the transaction ends. Throws `NOT_FOUND`. */
  async lock(id: string): Promise<ServiceAccount> {
    const found = await this.lockLive(id.toLowerCase());
    if (!found) throw noSuchServiceAccount();
    return found;
  }
}

/** The service accounts that a connection or a transaction sees. */
export function serviceAccountsIn(em: EntityManager): ServiceAccountRepository {
  return new ServiceAccountRepository(em, ServiceAccount);
}

export function noSuchServiceAccount(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such service account');
}
