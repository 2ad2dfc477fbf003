import { EntityRepository, LockMode } from '@mikro-orm/core';
import type { ServiceAccount } from './service-account.entity.ts';

export class ServiceAccountRepository extends EntityRepository<ServiceAccount> {
  /** The service account with this id, unless it was deleted, locked until the transaction ends. */
  lockLive(id: string): Promise<ServiceAccount | null> {
    return this.findOne(
      { id, state: { $ne: 'deleted' } },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
  }
}
