import type { Caller } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { apiKeysIn } from './api-key.repository.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { hashSecret, newSecret } from './api-key-secret.ts';
import { readKey } from './api-key-view.ts';
import type { KeyWithSecret } from './create-api-key.ts';
import { lockKey, requireUnrevoked } from './key-owner.ts';
import { requireHeld } from './key-settings.ts';

/**
 * Replaces the secret of a key; the previous one works for another `overlapMs` (A03). A key has two
 * secrets at most: a second rotation within the overlap ends the oldest one at once.
 *
 * Throws `NOT_FOUND`, `API_KEY_REVOKED`, `PERMISSION_DENIED` if the caller lacks one of its scopes.
 */
export function rotateApiKey(
  needs: { database: Database; keyring: Keyring; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
  { keyId, overlapMs }: { keyId: string; overlapMs: number },
): Promise<KeyWithSecret> {
  const { database, keyring, apiKeyMemory } = needs;
  return database.transaction(caller, async (tx) => {
    const { key, owner } = await lockKey(tx, keyId, 'managed');
    const { id } = key;
    requireUnrevoked(key);
    // Anyone who receives the secret can do what the key can.
    requireHeld(key.scopes, owner.bounds.granter, 'you do not hold');
    const secret = newSecret(id);
    const previousEnd = addMs(tx.now, overlapMs);
    await apiKeysIn(tx.em).rotate(id, hashSecret(keyring, secret), previousEnd);
    const details = { api_key_id: id, overlap_seconds: overlapMs / 1000 };
    tx.audit({ type: 'api_key.rotated', subject: owner.id, details });
    tx.afterCommit(() => apiKeyMemory.changed([id]));
    return { apiKey: await readKey(tx.em, id, tx.now), secret };
  });
}
