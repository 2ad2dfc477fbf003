import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { UsedFlow } from './used-flow.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

export class UsedFlowRepository extends Repository<UsedFlow> {
  /** Uses a flow up. Of several calls for one flow, exactly one returns true. */
  async use({ id, expiresAt }: { id: string; expiresAt: Date }): Promise<boolean> {
    const used = await this.query(
      `insert into used_federated_flows (id, expires_at) values ($1, $2)
       on conflict do nothing returning 1`,
      [id, expiresAt],
    );
    return used.length === 1;
  }

  /** Deletes some of the flows that expired before `limit`. Returns whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from used_federated_flows where id in
       (select id from used_federated_flows where expires_at < $1 limit ${BATCH}) returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }
}

/** The used flows that a connection or a transaction sees. */
export function usedFlowsIn(em: EntityManager): UsedFlowRepository {
  return new UsedFlowRepository(em, UsedFlow);
}
