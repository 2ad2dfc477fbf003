import type { Caller } from '../platform/caller.ts';
import { fieldsToUpdate, requireEtag } from '../platform/update.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { apiKeysIn, type KeySettings } from './api-key.repository.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { type ApiKeyView, readKey } from './api-key-view.ts';
import { type LockedOwner, lockKey, requireUnrevoked } from './key-owner.ts';
import { checkSettings, isLooser, requireHeld } from './key-settings.ts';

/** Field names of the API, and the settings that they stand for. */
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
  /** The version of the key to change; empty: any. */
  etag: string;
  /** Field names (AIP-134). Empty: those that are not empty. */
  mask: readonly string[];
};

/**
 * Changes a key. Only a caller who holds all of its scopes can loosen its networks, expiry or limit
 * (A08); anyone who may change it can narrow them. When it returns, this replica applies the change, and
 * the others do within a second (S09).
 *
 * Throws `NOT_FOUND`, `API_KEY_REVOKED`, `ETAG_MISMATCH`, `INVALID_REQUEST`, `PERMISSION_DENIED`.
 */
export function updateApiKey(
  { database, apiKeyMemory }: { database: Database; apiKeyMemory: ApiKeyMemory },
  caller: Caller,
  request: UpdateApiKey,
): Promise<ApiKeyView> {
  const { mask, settings } = request;
  const names = fieldsToUpdate(mask, NAMES, (name) => isGiven(settings[EDITABLE[name]]));
  return database.transaction(caller, async (tx) => {
    const { updated, changed } = await update(tx, request, names);
    tx.afterCommit(() => apiKeyMemory.changed(changed));
    return updated;
  });
}

async function update(
  tx: Transaction,
  { keyId, settings, etag }: UpdateApiKey,
  names: readonly Editable[],
): Promise<{ updated: ApiKeyView; changed: readonly string[] }> {
  const { em, now } = tx;
  const { key, owner } = await lockKey(tx, keyId, 'managed');
  requireUnrevoked(key);
  const before = await readKey(em, key.id, now);
  requireEtag(etag, before.etag);
  const chosen = Object.fromEntries(
    names.map((name) => [EDITABLE[name], settings[EDITABLE[name]]]),
  );
  // Settings that are not updated need not be allowed today: the owner may have lost a scope since.
  const checked = await checkSettings(tx, { ...blank, ...chosen }, owner.bounds, 'api_key.');
  const networks = names.includes('allowed_cidrs') ? { allowedCidrs: checked.allowedCidrs } : {};
  const after: KeySettings = { ...before, ...chosen, ...networks };
  const { fields, details, personal } = changeOf(names, before, after);
  if (fields.length === 0) return { updated: before, changed: [] };
  // A caller who lets a key be used by more people, for longer or more often can do what it can (A08).
  if (isLooser(before, after)) requireHeld(after.scopes, owner.bounds.granter, 'you do not hold');
  await apiKeysIn(em).change(key.id, after);
  const others = await endNarrowed(tx, owner, before, after);
  tx.audit({
    type: 'api_key.updated',
    subject: owner.id,
    details: { api_key_id: key.id, fields, ...details },
    ...(personal && { personal }),
  });
  return { updated: await readKey(em, key.id, now), changed: [key.id, ...others] };
}

/**
 * Ends what a service account has issued by its keys if one of them may do less from now on: tokens have
 * the scopes and the end that their key had, also those with which it acts for others (A09). A person's
 * own tokens would end with them. Returns the keys that the account has: what they are exchanged for next
 * must have its new version.
 */
async function endNarrowed(
  tx: Transaction,
  owner: LockedOwner,
  before: KeySettings,
  after: KeySettings,
): Promise<readonly string[]> {
  const isNarrower = before.scopes.some((scope) => !after.scopes.includes(scope));
  const end = ({ expiresAt }: KeySettings) => expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  if (owner.type !== 'service_account' || (!isNarrower && end(after) >= end(before))) return [];
  await tx.revokeSubject(owner.id, 'api_key_narrowed');
  return apiKeysIn(tx.em).noteAllChanged(owner.id);
}

/** Fields that say something about the owner: what they wrote, and where they are. */
const PERSONAL: ReadonlySet<Editable> = new Set(['display_name', 'allowed_cidrs']);

/** Which of `names` have changed, with the values before and after, for the audit event. */
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

function isGiven(value: KeySettings[keyof KeySettings]): boolean {
  return Array.isArray(value) || typeof value === 'string' ? value.length > 0 : value !== undefined;
}
