import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type ApiKeyView, type KeyActor, noSuchKey, readKey } from './api-key-view.ts';

export type GetApiKeyDeps = { database: SqlDatabase; clock: Clock };

/**
 * One key: the caller's own, or with `api_keys.read` any. Throws `NOT_FOUND`, also for another's
 * without the permission.
 */
export async function getApiKey(
  { database, clock }: GetApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  keyId: string,
): Promise<ApiKeyView> {
  const key = await database.read((em) => readKey(em, keyId, clock.now()), caller.signal);
  const isTheirs = key?.owner.type === 'user' && key.owner.id === actor.accountId;
  if (!key || !(isTheirs || actor.permissions.includes('api_keys.read'))) throw noSuchKey();
  return key;
}
