import type { EntityManager } from '../platform/sql.ts';
import { UsedOnceRepository } from '../platform/used-once.repository.ts';
import { UsedFlow } from './used-flow.entity.ts';

export class UsedFlowRepository extends UsedOnceRepository<UsedFlow, string> {
  protected readonly table = { name: 'used_federated_flows', key: 'id' };
}

/** The used flows that a connection or a transaction sees. */
export function usedFlowsIn(em: EntityManager): UsedFlowRepository {
  return new UsedFlowRepository(em, UsedFlow);
}
