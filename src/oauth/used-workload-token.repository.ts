import type { EntityManager } from '../platform/sql.ts';
import { UsedOnceRepository } from '../platform/used-once.repository.ts';
import { UsedWorkloadToken } from './used-workload-token.entity.ts';

export class UsedWorkloadTokenRepository extends UsedOnceRepository<UsedWorkloadToken, Uint8Array> {
  protected readonly table = { name: 'used_workload_tokens', key: 'token_hash' };
}

/** The used tokens of outside issuers that a connection or a transaction sees. */
export function usedWorkloadTokensIn(em: EntityManager): UsedWorkloadTokenRepository {
  return new UsedWorkloadTokenRepository(em, UsedWorkloadToken);
}
