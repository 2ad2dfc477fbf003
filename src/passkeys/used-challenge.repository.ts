import type { EntityManager } from '../platform/sql.ts';
import { UsedOnceRepository } from '../platform/used-once.repository.ts';
import { UsedChallenge } from './used-challenge.entity.ts';

/** A challenge of ours that has not expired. The table knows whether it has been used. */
export type Challenge = { hash: Buffer; expiresAt: Date };

export class UsedChallengeRepository extends UsedOnceRepository<UsedChallenge, Buffer> {
  protected readonly table = { name: 'used_passkey_challenges', key: 'challenge_hash' };
}

/** The used challenges that a connection or a transaction sees. */
export function usedChallengesIn(em: EntityManager): UsedChallengeRepository {
  return new UsedChallengeRepository(em, UsedChallenge);
}
