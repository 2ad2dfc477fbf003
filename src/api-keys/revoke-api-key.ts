import type { Caller } from '../platform/caller.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { KeyActor } from './api-key-view.ts';
import { lockKey } from './key-owner.ts';
import { type RevokeKeysDeps, revokeKeys } from './revoke-keys.ts';

export type RevokeApiKeyDeps = RevokeKeysDeps & { database: SqlDatabase };

/**
 * Ends a key for ever: the caller's own, or with `api_keys.write` any. Idempotent. When it returns, the
 * end is on record with its revocation and audit event, this replica refuses the key and the tokens
 * that it was exchanged for, and the others do within a second (S09).
 *
 * Throws `NOT_FOUND`, also for another's without the permission.
 */
export async function revokeApiKey(
  deps: RevokeApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  keyId: string,
): Promise<void> {
  const afterCommit = await deps.database.transaction(async (em) => {
    const { key, owner } = await lockKey(em, actor, keyId, 'any');
    return revokeKeys(em, deps, caller, {
      keyId: key.id,
      ownerId: owner.id,
      actorId: actor.accountId,
      cause: 'api_key_revoked',
    });
  }, caller.signal);
  afterCommit();
}
