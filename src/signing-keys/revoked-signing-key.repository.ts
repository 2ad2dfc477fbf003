import { addMs } from '../platform/clock.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { RevokedSigningKey } from './revoked-signing-key.entity.ts';

/** How many revoked keys are shown, and for how long. */
const SHOWN = 100;
const KEPT_MS = 90 * 24 * 3600_000;
const FORGET_BATCH = 1000;

/** The statements on revoked signing keys. */
export class RevokedSigningKeyRepository extends Repository<RevokedSigningKey> {
  /** The keys that are still shown, last revoked first. */
  newest(now: Date): Promise<RevokedSigningKey[]> {
    const since = addMs(now, -KEPT_MS);
    return this.find(
      { revokedAt: { $gt: since } },
      { orderBy: { revokedAt: 'desc' }, limit: SHOWN },
    );
  }

  /** Deletes some of the keys that are no longer shown. Returns whether there may be more. */
  async forgetOld(now: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from revoked_signing_keys where id in
       (select id from revoked_signing_keys where revoked_at <= $1 limit ${FORGET_BATCH})
       returning 1`,
      [addMs(now, -KEPT_MS)],
    );
    return gone.length === FORGET_BATCH;
  }
}

/** The revoked signing keys that a connection or a transaction sees. */
export function revokedSigningKeysIn(em: EntityManager): RevokedSigningKeyRepository {
  return new RevokedSigningKeyRepository(em, RevokedSigningKey);
}
