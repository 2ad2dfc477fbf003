import { type Caller, holds } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type ApiKeyView, noSuchKey, readKey } from './api-key-view.ts';

/**
 * Returns a key: the caller's own, or with `api_keys.read` anyone's. Throws `NOT_FOUND`, also for
 * someone else's key without the permission.
 */
export async function getApiKey(
  { database }: { database: Database },
  caller: Caller,
  keyId: string,
): Promise<ApiKeyView> {
  const key = await database.read(caller, (em, now) => readKey(em, keyId, now));
  const isOwn = key.owner.type === 'user' && key.owner.id === caller.subject;
  if (!(isOwn || holds(caller, 'api_keys.read'))) throw noSuchKey();
  return key;
}
