import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { lockKey } from './key-owner.ts';
import { revokeKeys } from './revoke-keys.ts';

/**
 * Revokes a key for good: the caller's own, or with `api_keys.write` anyone's. Idempotent. When it
 * returns, the end is on record with its revocation and audit event, this replica refuses the key and
 * the tokens that it was exchanged for, and the others do within a second (S09).
 *
 * Throws `NOT_FOUND`, also for someone else's key without the permission.
 */
export async function revokeApiKey(
  { database, apiKeyMemory }: { database: Database; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
  keyId: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const { key, owner } = await lockKey(tx, keyId, 'any');
    const which = { keyId: key.id, ownerId: owner.id, cause: 'api_key_revoked' as const };
    await revokeKeys(tx, apiKeyMemory, which);
  });
}
