/** The permissions that Countersign's own methods ask for. */
const BUILT_IN_PERMISSIONS = [
  'users.read',
  'users.write',
  'roles.read',
  'roles.write',
  'sessions.read',
  'sessions.revoke',
  'tokens.introspect',
  'api_keys.read',
  'api_keys.write',
  'api_keys.verify',
  'service_accounts.read',
  'service_accounts.write',
  'signing_keys.read',
  'signing_keys.write',
  'audit.read',
  'webhooks.read',
  'webhooks.write',
] as const;

const ROLES: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['admin', BUILT_IN_PERMISSIONS],
  ['user', []],
]);

/** What the holder of these roles may do: the union of their permissions, sorted. */
export function permissionsOf(roles: readonly string[]): string[] {
  return [...new Set(roles.flatMap((role) => ROLES.get(role) ?? []))].sort();
}
