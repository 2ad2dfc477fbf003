import { LockMode } from '@mikro-orm/core';
import { permissionsIn } from '../access/permission.repository.ts';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { allowedNetworks, isWithin } from './allowed-networks.ts';
import type { KeySettings } from './api-key.repository.ts';

/**
 * The permissions of a key's owner and of the caller who grants its scopes: the scopes must be among
 * both.
 */
export type ScopeBounds = { owner: readonly string[]; granter: readonly string[] };

/**
 * Checks the settings that a request asks for, and returns them as they are stored. Nobody can give a
 * key what they, or its owner, don't hold (A01, A05). `prefix` begins the paths of the fields.
 *
 * Throws `INVALID_REQUEST` for a scope that does not exist, a malformed network, or an expiry that is
 * not in the future, and `PERMISSION_DENIED` for a scope that is not held.
 */
export async function checkSettings(
  { em, now }: Transaction,
  settings: KeySettings,
  { owner, granter }: ScopeBounds,
  prefix = '',
): Promise<KeySettings> {
  const { scopes, expiresAt } = settings;
  // They stay until this has committed, so that whoever deletes one finds the key.
  const lockMode = LockMode.PESSIMISTIC_READ;
  const found = await permissionsIn(em).find(
    { name: { $in: [...scopes] } },
    { lockMode, orderBy: { name: 'asc' } },
  );
  const known = new Set(found.map(({ name }) => name));
  const unknownAt = scopes.findIndex((scope) => !known.has(scope));
  if (unknownAt >= 0) {
    throw invalidField(`${prefix}scopes[${unknownAt}]`, 'is not a permission that exists');
  }
  requireHeld(scopes, owner, "the key's owner does not hold");
  requireHeld(scopes, granter, 'you do not hold');
  if (expiresAt && expiresAt <= now) {
    throw invalidField(`${prefix}expires_at`, 'is not in the future');
  }
  const allowedCidrs = allowedNetworks(settings.allowedCidrs, `${prefix}allowed_cidrs`);
  return { ...settings, scopes: [...new Set(scopes)], allowedCidrs };
}

/** Throws `PERMISSION_DENIED` for a scope that is not held. `whoLacks` says who does not hold it. */
export function requireHeld(
  scopes: readonly string[],
  held: readonly string[],
  whoLacks: string,
): void {
  const scope = scopes.find((each) => !held.includes(each));
  if (scope === undefined) return;
  const message = `the scope ${scope} is a permission that ${whoLacks}`;
  throw new Failure('denied', 'PERMISSION_DENIED', message, { metadata: { permission: scope } });
}

/** Whether a change of settings lets a key be used from more networks, for longer or more often. */
export function isLooser(before: KeySettings, after: KeySettings): boolean {
  return (
    reachesMore(before.allowedCidrs, after.allowedCidrs) ||
    lastsLonger(before.expiresAt, after.expiresAt) ||
    allowsMore(before.limit, after.limit)
  );
}

/** Without networks a key may be used from everywhere. */
function reachesMore(before: readonly string[], after: readonly string[]): boolean {
  if (before.length === 0) return false;
  return after.length === 0 || after.some((network) => !isWithin(network, before));
}

function lastsLonger(before: KeySettings['expiresAt'], after: KeySettings['expiresAt']): boolean {
  return before !== undefined && (after === undefined || after > before);
}

/** A limit over a shorter or longer time counts as more: its windows begin again. */
function allowsMore(before: KeySettings['limit'], after: KeySettings['limit']): boolean {
  if (before === undefined) return false;
  return (
    after === undefined || after.requests > before.requests || after.seconds !== before.seconds
  );
}
