import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { UsedChallenge } from './used-challenge.entity.ts';

/** A challenge of ours that has not expired. The table knows whether it has been used. */
export type Challenge = { hash: Buffer; expiresAt: Date };

/** Rows deleted in one statement. */
const BATCH = 1000;

export class UsedChallengeRepository extends Repository<UsedChallenge> {
  /**
   * Uses a challenge up. Of several calls for one challenge, exactly one returns true: the others wait
   * for its transaction, and return true only if that is rolled back.
   */
  async use({ hash, expiresAt }: Challenge): Promise<boolean> {
    const used = await this.query(
      `insert into used_passkey_challenges (challenge_hash, expires_at) values ($1, $2)
       on conflict do nothing returning 1`,
      [hash, expiresAt],
    );
    return used.length === 1;
  }

  /** Deletes some of the challenges that expired before `limit`. Returns whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from used_passkey_challenges where challenge_hash in
       (select challenge_hash from used_passkey_challenges where expires_at < $1 limit ${BATCH})
       returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }
}

/** The used challenges that a connection or a transaction sees. */
export function usedChallengesIn(em: EntityManager): UsedChallengeRepository {
  return new UsedChallengeRepository(em, UsedChallenge);
}
