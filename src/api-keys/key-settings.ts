import { Permission } from '../access/permission.entity.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { allowedNetworks } from './allowed-networks.ts';
import type { KeySettings } from './api-key.repository.ts';

/** Whose permissions a key's scopes must be among. */
export type ScopeBounds = { owner: readonly string[]; granter: readonly string[] };

/**
 * What people ask a key to be, made ready to be kept: nobody gives a key what they, or its owner, don't
 * hold (A01, A05).
 *
 * Throws `INVALID_REQUEST` for a scope that does not exist, a network that can't be read, an expiry
 * that is not in the future; `PERMISSION_DENIED` for a scope that is not held.
 */
export async function checkSettings(
  em: EntityManager,
  settings: KeySettings,
  { owner, granter }: ScopeBounds,
  now: Date,
  prefix = '',
): Promise<KeySettings> {
  const known = await em.find(Permission, { name: { $in: [...settings.scopes] } });
  const names = new Set(known.map(({ name }) => name));
  settings.scopes.forEach((scope, index) => {
    if (!names.has(scope)) {
      throw invalid(`${prefix}scopes[${index}]`, 'is not a permission that exists');
    }
  });
  requireHeld(settings.scopes, owner, "the key's owner does not hold");
  requireHeld(settings.scopes, granter, 'you do not hold');
  const { expiresAt } = settings;
  if (expiresAt && expiresAt <= now) throw invalid(`${prefix}expires_at`, 'is not in the future');
  const allowedCidrs = allowedNetworks(settings.allowedCidrs, `${prefix}allowed_cidrs`);
  return { ...settings, scopes: [...new Set(settings.scopes)], allowedCidrs };
}

function invalid(path: string, description: string): Failure {
  return new Failure(
    'invalid',
    'INVALID_REQUEST',
    `the request is not valid: ${path} ${description}`,
    {
      fields: [{ path, description }],
    },
  );
}

/** Throws `PERMISSION_DENIED` for a scope that is not held. */
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
