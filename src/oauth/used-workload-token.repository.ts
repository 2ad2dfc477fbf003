import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { UsedWorkloadToken } from './used-workload-token.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

export class UsedWorkloadTokenRepository extends Repository<UsedWorkloadToken> {
  /**
   * Uses a token up. Of several calls with one token, exactly one returns true: the others wait for its
   * transaction, and return true only if that is rolled back.
   */
  async use(hash: Uint8Array, expiresAt: Date): Promise<boolean> {
    const used = await this.query(
      `insert into used_workload_tokens (token_hash, expires_at) values ($1, $2)
       on conflict do nothing returning 1`,
      [hash, expiresAt],
    );
    return used.length === 1;
  }

  /** Deletes some of the tokens that expired before `limit`. Returns whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from used_workload_tokens where token_hash in
       (select token_hash from used_workload_tokens where expires_at < $1 limit ${BATCH})
       returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }
}

/** The used tokens of outside issuers that a connection or a transaction sees. */
export function usedWorkloadTokensIn(em: EntityManager): UsedWorkloadTokenRepository {
  return new UsedWorkloadTokenRepository(em, UsedWorkloadToken);
}
