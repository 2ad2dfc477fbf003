import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { type ApiKeyRecord, apiKeyRecordsIn, type WhichKeys } from './api-key-record.repository.ts';
import { secretPrefix } from './api-key-secret.ts';

/** A key as people see it. */
export type ApiKeyView = ApiKeyRecord & {
  /** How its secrets begin. */
  prefix: string;
};

/** Reads keys, newest first. */
export async function readKeys(em: EntityManager, which: WhichKeys): Promise<ApiKeyView[]> {
  const records = await apiKeyRecordsIn(em).list(which);
  return records.map((record) => ({ ...record, prefix: secretPrefix(record.apiKeyId) }));
}

/** Reads one key, revoked or not. Throws `NOT_FOUND`. */
export async function readKey(em: EntityManager, id: string, now: Date): Promise<ApiKeyView> {
  const [key] = await readKeys(em, { id, showRevoked: true, limit: 1, now });
  if (!key) throw noSuchKey();
  return key;
}

/** The same for a key that does not exist and for one that the caller may not know of. */
export function noSuchKey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such API key');
}
