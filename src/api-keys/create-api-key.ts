import { v7 as uuidv7 } from 'uuid';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { apiKeysIn, type KeyOwner, type KeySettings } from './api-key.repository.ts';
import { hashSecret, newSecret } from './api-key-secret.ts';
import { type ApiKeyView, readKey } from './api-key-view.ts';
import { lockNewOwner } from './key-owner.ts';
import { checkSettings } from './key-settings.ts';

/** How many working keys an owner may have. */
const MAX_KEYS = 100;

/** A key, and its secret, which is returned only once. */
export type KeyWithSecret = { apiKey: ApiKeyView; secret: string };

/**
 * Creates a key for the caller, or with `api_keys.write` for a service account. Only a keyed hash of
 * its secret is kept (S11), so that nobody can see the secret again (A02).
 *
 * Throws `INVALID_REQUEST`, `PERMISSION_DENIED` for a scope that is not held, `NOT_FOUND` for the
 * service account, `TOO_MANY`.
 */
export function createApiKey(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: { settings: KeySettings; owner?: KeyOwner | undefined },
): Promise<KeyWithSecret> {
  return database.transaction(caller, async (tx) => {
    const { em, now } = tx;
    const { bounds, ...owner } = await lockNewOwner(tx, request.owner);
    const settings = await checkSettings(tx, request.settings, bounds);
    const keys = apiKeysIn(em);
    if ((await keys.countLive(owner.id, now)) >= MAX_KEYS) throw tooManyKeys();
    const id = uuidv7();
    const secret = newSecret(id);
    const hashed = hashSecret(keyring, secret);
    await keys.insertNew({ ...settings, id, owner, secret: hashed, createdAt: now });
    const details = { api_key_id: id, scopes: settings.scopes };
    tx.audit({ type: 'api_key.created', subject: owner.id, details });
    return { apiKey: await readKey(em, id, now), secret };
  });
}

function tooManyKeys(): Failure {
  const message = `there are ${MAX_KEYS} API keys already; revoke one first`;
  return new Failure('precondition', 'TOO_MANY', message);
}
