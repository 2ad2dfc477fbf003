import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { addMs } from '../platform/clock.ts';
import type { EntityManager } from '../platform/sql.ts';
import { apiKeysIn } from './api-key.repository.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { hashSecret, newSecret } from './api-key-secret.ts';
import { type KeyActor, noSuchKey, readKey } from './api-key-view.ts';
import type { CreateApiKeyDeps, KeyWithSecret } from './create-api-key.ts';
import { lockKey, requireUnrevoked } from './key-owner.ts';
import { requireHeld } from './key-settings.ts';

export type RotateApiKeyDeps = CreateApiKeyDeps & { apiKeyMemory: ApiKeyMemory };

/**
 * Gives a key a new secret; the one before works for `overlapMs` more (A03). Of two rotations within an
 * overlap the first one's predecessor ends at once: a key has two secrets at most.
 *
 * Throws `NOT_FOUND`, `API_KEY_REVOKED`, `PERMISSION_DENIED` where the caller lacks one of its scopes.
 */
export async function rotateApiKey(
  deps: RotateApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  { keyId, overlapMs }: { keyId: string; overlapMs: number },
): Promise<KeyWithSecret> {
  const rotated = await deps.database.transaction(
    (em) => rotate(em, deps, caller, actor, keyId, overlapMs),
    caller.signal,
  );
  deps.apiKeyMemory.changed([rotated.apiKey.apiKeyId]);
  return rotated;
}

async function rotate(
  em: EntityManager,
  deps: RotateApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  keyId: string,
  overlapMs: number,
): Promise<KeyWithSecret> {
  const now = deps.clock.now();
  const { key, owner } = await lockKey(em, actor, keyId, 'managed');
  requireUnrevoked(key);
  // Who is given the secret can do what the key can.
  requireHeld(key.scopes, owner.bounds.granter, 'you do not hold');
  const secret = newSecret(key.id);
  const previousEnd = addMs(now, overlapMs);
  await apiKeysIn(em).rotate(key.id, hashSecret(deps.keyring, secret), previousEnd);
  recordAudit(em, deps, caller, {
    type: 'api_key.rotated',
    actor: actor.accountId,
    subject: owner.id,
    details: { api_key_id: key.id, overlap_seconds: overlapMs / 1000 },
  });
  const apiKey = await readKey(em, key.id, now);
  if (!apiKey) throw noSuchKey();
  return { apiKey, secret };
}
