import { type Caller, holds } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { type PageRequest, readPage } from '../platform/page.ts';
import type { Database } from '../unit-of-work/database.ts';
import { type ApiKeyView, readKeys } from './api-key-view.ts';

const PERMISSION = 'api_keys.read';

export type ListApiKeys = PageRequest & {
  /** Whose keys; the caller's if both are empty. */
  userId: string;
  serviceAccountId: string;
  showRevoked: boolean;
};

/**
 * Lists the keys of the caller, or with `api_keys.read` of anyone, newest first.
 *
 * Throws `PERMISSION_DENIED`, and `INVALID_REQUEST` for a page token of another query or for two
 * owners.
 */
export async function listApiKeys(
  { database, keyring }: { database: Database; keyring: Keyring },
  caller: Caller,
  request: ListApiKeys,
): Promise<{ apiKeys: ApiKeyView[]; nextPageToken: string }> {
  const { showRevoked } = request;
  const ownerId = ownerOf(caller, request);
  const { items: apiKeys, nextPageToken } = await readPage(
    keyring,
    ['api_keys', ownerId, String(showRevoked)],
    request,
    (before, limit) =>
      database.read(caller, (em, now) =>
        readKeys(em, { ownerId, before, showRevoked, limit, now }),
      ),
    (key) => key.apiKeyId,
  );
  return { apiKeys, nextPageToken };
}

function ownerOf(caller: Caller, { userId, serviceAccountId }: ListApiKeys): string {
  if (userId !== '' && serviceAccountId !== '') {
    throw invalidField(
      'service_account_id',
      'is given together with user_id; give only one of them',
    );
  }
  const ownerId = (userId || serviceAccountId || caller.subject).toLowerCase();
  if (ownerId === caller.subject || holds(caller, PERMISSION)) return ownerId;
  const message = `the permission ${PERMISSION} is needed for the keys of others`;
  throw new Failure('denied', 'PERMISSION_DENIED', message, {
    metadata: { permission: PERMISSION },
  });
}
