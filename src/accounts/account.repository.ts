import { EntityRepository } from '@mikro-orm/core';
import type { Account } from './account.entity.ts';

export class AccountRepository extends EntityRepository<Account> {
  /** The account that holds this canonical address now, if any. */
  findLive(canonicalEmail: string): Promise<Account | null> {
    return this.findOne({ canonicalEmail, state: { $ne: 'deleted' } });
  }
}
