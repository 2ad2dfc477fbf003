import { EntityRepository } from '@mikro-orm/core';
import { type EntityManager, query } from '../platform/database.ts';
import type { SigningKey } from './signing-key.entity.ts';

// Any constant will do, as long as every version of the program uses the same one.
const SIGNING_KEY_LOCK = 727_274_002;

export class SigningKeyRepository extends EntityRepository<SigningKey> {
  /** Has this transaction be the only one, on any replica, that changes signing keys. */
  async lockForChange(): Promise<void> {
    const em = this.getEntityManager() as unknown as EntityManager;
    await query(em, 'select pg_advisory_xact_lock($1)', [SIGNING_KEY_LOCK]);
  }
}
