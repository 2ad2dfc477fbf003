import { v7 as uuidv7 } from 'uuid';
import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { apiKeysIn, type KeySettings } from './api-key.repository.ts';
import { hashSecret, newSecret } from './api-key-secret.ts';
import {
  type ApiKeyView,
  type KeyActor,
  type KeyOwner,
  noSuchKey,
  readKey,
} from './api-key-view.ts';
import { lockNewOwner } from './key-owner.ts';
import { checkSettings } from './key-settings.ts';

/** An owner has no more keys that work. */
const MAX_KEYS = 100;

export type CreateApiKeyDeps = { database: SqlDatabase; clock: Clock; keyring: Keyring };

/** A key, and its secret for the only time. */
export type KeyWithSecret = { apiKey: ApiKeyView; secret: string };

/**
 * Makes a key for the caller, or with `api_keys.write` for a service account. Only a keyed hash of its secret is kept (S11), so that nobody can be
 * shown it again (A02).
 *
 * Throws `INVALID_REQUEST`, `PERMISSION_DENIED` for a scope that is not held, `NOT_FOUND` for the
 * service account, `TOO_MANY`.
 */
export function createApiKey(
  deps: CreateApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  settings: KeySettings,
  forWhom?: KeyOwner,
): Promise<KeyWithSecret> {
  return deps.database.transaction(
    (em) => create(em, deps, caller, actor, settings, forWhom),
    caller.signal,
  );
}

async function create(
  em: EntityManager,
  deps: CreateApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  asked: KeySettings,
  forWhom: KeyOwner | undefined,
): Promise<KeyWithSecret> {
  const now = deps.clock.now();
  const { bounds, ...owner } = await lockNewOwner(em, actor, forWhom);
  const settings = await checkSettings(em, asked, bounds, now);
  const keys = apiKeysIn(em);
  if ((await keys.countLive(owner.id, now)) >= MAX_KEYS) throw tooManyKeys();
  const id = uuidv7();
  const secret = newSecret(id);
  await keys.insertNew({
    ...settings,
    id,
    owner,
    secret: hashSecret(deps.keyring, secret),
    createdAt: now,
  });
  recordAudit(em, deps, caller, {
    type: 'api_key.created',
    actor: actor.accountId,
    subject: owner.id,
    details: { api_key_id: id, scopes: settings.scopes },
  });
  const apiKey = await readKey(em, id, now);
  if (!apiKey) throw noSuchKey();
  return { apiKey, secret };
}

function tooManyKeys(): Failure {
  return new Failure('precondition', 'TOO_MANY', `there are ${MAX_KEYS} API keys already`);
}
