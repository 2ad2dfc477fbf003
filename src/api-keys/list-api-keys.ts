import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { pagePosition, pageToken } from '../platform/page-token.ts';
import { type ApiKeyView, type KeyActor, readKeys } from './api-key-view.ts';
import type { GetApiKeyDeps } from './get-api-key.ts';

const DEFAULT_PAGE_SIZE = 50;
const PERMISSION = 'api_keys.read';

export type ListApiKeysDeps = GetApiKeyDeps & { keyring: Keyring };

export type ListApiKeys = {
  /** Whose: empty, both, for the caller's own. */
  userId: string;
  serviceAccountId: string;
  showRevoked: boolean;
  /** 0: the default. */
  pageSize: number;
  pageToken: string;
};

/**
 * The keys of the caller, or with `api_keys.read` of anybody, the newest first. A page costs the same
 * wherever it is.
 *
 * Throws `PERMISSION_DENIED`, and `INVALID_REQUEST` for a page token of another query or for two owners.
 */
export async function listApiKeys(
  deps: ListApiKeysDeps,
  caller: Caller,
  actor: KeyActor,
  request: ListApiKeys,
): Promise<{ apiKeys: ApiKeyView[]; nextPageToken: string }> {
  const ownerId = ownerOf(actor, request);
  const query = ['api_keys', ownerId, String(request.showRevoked)];
  const before = pagePosition(deps.keyring, query, request.pageToken);
  const limit = request.pageSize || DEFAULT_PAGE_SIZE;
  const { showRevoked } = request;
  const which = { ownerId, before, showRevoked, limit: limit + 1, now: deps.clock.now() };
  const keys = await deps.database.read((em) => readKeys(em, which), caller.signal);
  const apiKeys = keys.slice(0, limit);
  const last = apiKeys.at(-1);
  const hasMore = keys.length > limit && last !== undefined;
  return {
    apiKeys,
    nextPageToken: hasMore ? pageToken(deps.keyring, query, last.apiKeyId) : '',
  };
}

function ownerOf(actor: KeyActor, { userId, serviceAccountId }: ListApiKeys): string {
  if (userId !== '' && serviceAccountId !== '') {
    const description = 'stands beside user_id, of which only one is asked for';
    throw new Failure('invalid', 'INVALID_REQUEST', `service_account_id ${description}`, {
      fields: [{ path: 'service_account_id', description }],
    });
  }
  const ownerId = (userId || serviceAccountId || (actor.accountId ?? '')).toLowerCase();
  if (actor.accountId === undefined || ownerId === actor.accountId) return ownerId;
  if (actor.permissions.includes(PERMISSION)) return ownerId;
  throw new Failure('denied', 'PERMISSION_DENIED', `the permission ${PERMISSION} is needed`, {
    metadata: { permission: PERMISSION },
  });
}
