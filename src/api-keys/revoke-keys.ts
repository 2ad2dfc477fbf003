import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { RevocationCause } from '../revocations/revocation-cause.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { apiKeysIn } from './api-key.repository.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';

export type RevokeKeysDeps = {
  clock: Clock;
  revocations: RevocationFeed;
  apiKeyMemory: ApiKeyMemory;
};

type WhoseKeys = {
  /** One key, or all of its owner. */
  keyId?: string;
  ownerId: string;
  actorId: string | undefined;
  cause: RevocationCause;
};

/**
 * Revokes keys, with all tokens that they were exchanged for, in the transaction of what is the cause.
 * Those that were revoked before stay as they are. Gives what to do once that has committed: from then
 * on this replica refuses them, and the others do within a second (S09).
 */
export async function revokeKeys(
  em: EntityManager,
  deps: RevokeKeysDeps,
  caller: Caller,
  { keyId, ownerId, actorId, cause }: WhoseKeys,
): Promise<() => void> {
  const which = keyId === undefined ? { ownerId } : { id: keyId };
  const ids = await apiKeysIn(em).revoke(which, deps.clock.now());
  if (ids.length === 0) return () => {};
  for (const id of ids) {
    recordAudit(em, deps, caller, {
      type: 'api_key.revoked',
      actor: actorId,
      subject: ownerId,
      details: { api_key_id: id, cause },
    });
  }
  const targets = ids.map((id) => ({ kind: 'api_key' as const, id }));
  const refuse = await deps.revocations.revoke(em, targets, cause);
  return () => {
    refuse();
    deps.apiKeyMemory.changed(ids);
  };
}
