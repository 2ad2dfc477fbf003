import type { RevocationCause } from '../revocations/revocation-cause.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { apiKeysIn } from './api-key.repository.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';

/** One key, or all keys of an owner. `actor` is who revokes them, by default the caller. */
type WhoseKeys = { keyId?: string; ownerId: string; actor?: string; cause: RevocationCause };

/**
 * Revokes keys and all tokens that they were exchanged for, in the transaction of their cause. Keys that
 * are revoked already stay as they are; a single one is announced again. From the commit on this replica
 * refuses them, and the others do within a second (S09).
 */
export async function revokeKeys(
  tx: Transaction,
  apiKeyMemory: ApiKeyMemory,
  { keyId, ownerId, actor, cause }: WhoseKeys,
): Promise<void> {
  const which = keyId === undefined ? { ownerId } : { id: keyId };
  const ids = await apiKeysIn(tx.em).revoke(which, tx.now);
  if (ids.length === 0) {
    if (keyId !== undefined) await repeat(tx, apiKeyMemory, keyId);
    return;
  }
  for (const id of ids) {
    const details = { api_key_id: id, cause };
    tx.audit({ type: 'api_key.revoked', actor, subject: ownerId, details });
  }
  await tx.revoke(
    ids.map((id) => ({ kind: 'api_key', id })),
    cause,
  );
  tx.afterCommit(() => apiKeyMemory.changed(ids));
}

/** Makes the replicas look again at a key that was revoked before. */
async function repeat(tx: Transaction, apiKeyMemory: ApiKeyMemory, id: string): Promise<void> {
  await apiKeysIn(tx.em).noteChanged(id);
  await tx.repeatRevocation([{ kind: 'api_key', id }]);
  tx.afterCommit(() => apiKeyMemory.changed([id]));
}
