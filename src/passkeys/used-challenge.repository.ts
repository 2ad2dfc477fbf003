import { EntityRepository } from '@mikro-orm/core';
import { type EntityManager, query } from '../platform/database.ts';
import type { Challenge } from './challenge.ts';
import type { UsedChallenge } from './used-challenge.entity.ts';

const BATCH = 1000;

export class UsedChallengeRepository extends EntityRepository<UsedChallenge> {
  /**
   * Uses a challenge up. Of several calls for one challenge, exactly one gets true: the others wait
   * for its transaction, and get true only if that is rolled back.
   */
  async use({ hash, expiresAt }: Challenge): Promise<boolean> {
    const used = await query(
      this.#sql,
      `insert into used_passkey_challenges (challenge_hash, expires_at) values ($1, $2)
       on conflict do nothing returning 1`,
      [hash, expiresAt],
    );
    return used.length === 1;
  }

  /** Deletes some of the challenges that expired before `limit`. Says whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const gone = await query(
      this.#sql,
      `delete from used_passkey_challenges where challenge_hash in
       (select challenge_hash from used_passkey_challenges where expires_at < $1 limit ${BATCH})
       returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }

  get #sql(): EntityManager {
    return this.getEntityManager() as unknown as EntityManager;
  }
}
