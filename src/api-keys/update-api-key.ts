import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { apiKeysIn, type KeySettings } from './api-key.repository.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { type ApiKeyView, type KeyActor, noSuchKey, readKey } from './api-key-view.ts';
import { lockKey, requireUnrevoked } from './key-owner.ts';
import { checkSettings } from './key-settings.ts';

export type UpdateApiKeyDeps = { database: SqlDatabase; clock: Clock; apiKeyMemory: ApiKeyMemory };

/** Field names of the API, and what holds them. */
const EDITABLE = {
  display_name: 'displayName',
  scopes: 'scopes',
  allowed_cidrs: 'allowedCidrs',
  expires_at: 'expiresAt',
  rate_limit: 'limit',
} as const satisfies Record<string, keyof KeySettings>;
type Editable = keyof typeof EDITABLE;
const NAMES = Object.keys(EDITABLE) as Editable[];

export type UpdateApiKey = {
  keyId: string;
  settings: KeySettings;
  /** Empty: no matter which version of the key is changed. */
  etag: string;
  /** Field names (AIP-134). Empty: those that are not empty. */
  mask: readonly string[];
};

/**
 * Changes a key. When it returns, this replica judges by the change, and the others do within a second
 * (S09).
 *
 * Throws `NOT_FOUND`, `API_KEY_REVOKED`, `ETAG_MISMATCH`, `INVALID_REQUEST`, `PERMISSION_DENIED`.
 */
export async function updateApiKey(
  deps: UpdateApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  request: UpdateApiKey,
): Promise<ApiKeyView> {
  const names = namesIn(request);
  const key = await deps.database.transaction(
    (em) => update(em, deps, caller, actor, request, names),
    caller.signal,
  );
  deps.apiKeyMemory.changed([key.apiKeyId]);
  return key;
}

async function update(
  em: EntityManager,
  deps: UpdateApiKeyDeps,
  caller: Caller,
  actor: KeyActor,
  { keyId, settings, etag }: UpdateApiKey,
  names: readonly Editable[],
): Promise<ApiKeyView> {
  const now = deps.clock.now();
  const { key, owner } = await lockKey(em, actor, keyId, 'managed');
  requireUnrevoked(key);
  const before = await readKey(em, key.id, now);
  if (!before) throw noSuchKey();
  if (etag !== '' && etag !== before.etag) throw etagMismatch();
  const chosen = Object.fromEntries(
    names.map((name) => [EDITABLE[name], settings[EDITABLE[name]]]),
  );
  const kept: KeySettings = { ...before, ...chosen };
  // What stays as it is need not be what could be asked for today: a scope the owner has lost since.
  const checked = await checkSettings(em, { ...blank, ...chosen }, owner.bounds, now, 'api_key.');
  const changed = names.includes('allowed_cidrs') ? { allowedCidrs: checked.allowedCidrs } : {};
  const after = { ...kept, ...changed };
  const { fields, details, personal } = changeOf(names, before, after);
  if (fields.length === 0) return before;
  await apiKeysIn(em).change(key.id, after);
  recordAudit(em, deps, caller, {
    type: 'api_key.updated',
    actor: actor.accountId,
    subject: owner.id,
    details: { api_key_id: key.id, fields, ...details },
    ...(personal && { personal }),
  });
  return (await readKey(em, key.id, now)) ?? before;
}

/** What its owner wrote, and where they are. */
const PERSONAL: ReadonlySet<Editable> = new Set(['display_name', 'allowed_cidrs']);

/** What of `names` has changed, with what was before and is after: for the audit event. */
function changeOf(names: readonly Editable[], before: KeySettings, after: KeySettings) {
  const fields = names.filter((name) => valuesOf([name], before) !== valuesOf([name], after));
  const part = (isPersonal: boolean) => {
    const changed = fields.filter((name) => PERSONAL.has(name) === isPersonal);
    if (changed.length === 0) return undefined;
    return {
      before: JSON.parse(valuesOf(changed, before)),
      after: JSON.parse(valuesOf(changed, after)),
    };
  };
  return { fields, details: part(false), personal: part(true) };
}

/** As JSON, without those that are not set. */
function valuesOf(names: readonly Editable[], settings: KeySettings): string {
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, settings[EDITABLE[name]]])));
}

const blank: KeySettings = {
  displayName: '',
  scopes: [],
  allowedCidrs: [],
  limit: undefined,
  expiresAt: undefined,
};

function namesIn({ mask, settings }: UpdateApiKey): readonly Editable[] {
  const wrong = mask.filter((name) => name !== '*' && !Object.hasOwn(EDITABLE, name));
  if (wrong.length > 0) {
    const description = `names fields that can't be changed: ${wrong.join(', ')}`;
    throw new Failure('invalid', 'INVALID_REQUEST', `the update mask ${description}`, {
      fields: [{ path: 'update_mask', description }],
    });
  }
  if (mask.includes('*')) return NAMES;
  if (mask.length > 0) return NAMES.filter((name) => mask.includes(name));
  return NAMES.filter((name) => isGiven(settings[EDITABLE[name]]));
}

function isGiven(value: KeySettings[keyof KeySettings]): boolean {
  return Array.isArray(value) || typeof value === 'string' ? value.length > 0 : value !== undefined;
}

function etagMismatch(): Failure {
  const message = 'the API key has changed since it was read';
  return new Failure('aborted', 'ETAG_MISMATCH', message);
}
