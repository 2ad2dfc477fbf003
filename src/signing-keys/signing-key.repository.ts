import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { SigningKey } from './signing-key.entity.ts';

// Any constant will do, as long as every version of the program uses the same one.
const SIGNING_KEY_LOCK = 727_274_002;

export class SigningKeyRepository extends Repository<SigningKey> {
  /** Has this transaction be the only one, on any replica, that changes signing keys. */
  async lockForChange(): Promise<void> {
    await this.query('select pg_advisory_xact_lock($1)', [SIGNING_KEY_LOCK]);
  }
}

/** The signing keys that a connection or a transaction sees. */
export function signingKeysIn(em: EntityManager): SigningKeyRepository {
  return new SigningKeyRepository(em, SigningKey);
}
