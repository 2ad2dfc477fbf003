import { EntityRepository } from '@mikro-orm/core';
import { addMs } from '../platform/clock.ts';
import { type EntityManager, query } from '../platform/database.ts';
import type { RevokedSigningKey } from './revoked-signing-key.entity.ts';

const SHOWN = 100;
const KEPT_MS = 90 * 24 * 3600_000;
const FORGET_BATCH = 1000;

/** The SQL of keys that were revoked. */
export class RevokedSigningKeyRepository extends EntityRepository<RevokedSigningKey> {
  declare protected em: EntityManager;

  /** Those that are still shown, the last revoked first. */
  newest(now: Date): Promise<RevokedSigningKey[]> {
    const since = addMs(now, -KEPT_MS);
    return this.find(
      { revokedAt: { $gt: since } },
      { orderBy: { revokedAt: 'desc' }, limit: SHOWN },
    );
  }

  /** Deletes some of those that are not shown any more. Says whether there may be more. */
  async forgetOld(now: Date): Promise<boolean> {
    const gone = await query(
      this.em,
      `delete from revoked_signing_keys where id in
       (select id from revoked_signing_keys where revoked_at <= $1 limit ${FORGET_BATCH})
       returning 1`,
      [addMs(now, -KEPT_MS)],
    );
    return gone.length === FORGET_BATCH;
  }
}
