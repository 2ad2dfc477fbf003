/** The permissions that Countersign's own methods ask for, and what each allows. */
export const BUILT_IN_PERMISSIONS = {
  'users.read': 'See and search accounts.',
  'users.write': 'Create, change, suspend and delete accounts.',
  'roles.read': 'See roles and permissions.',
  'roles.write': 'Change roles and permissions, grant and revoke them.',
  'sessions.read': "See other people's sessions.",
  'sessions.revoke': "End other people's sessions.",
  'tokens.introspect': 'Ask what a token is worth, and watch revocations.',
  'tokens.exchange': 'Act for those who send their token, within what both may do.',
  'api_keys.read': "See others' API keys.",
  'api_keys.write': "Create, change and revoke others' API keys.",
  'api_keys.verify': 'Ask what an API key is worth.',
  'service_accounts.read': 'See service accounts.',
  'service_accounts.write': 'Create and delete service accounts.',
  'signing_keys.read': 'See signing keys.',
  'signing_keys.write': 'Rotate and revoke signing keys.',
  'audit.read': 'Read the audit log.',
  'webhooks.read': 'See webhooks and their deliveries.',
  'webhooks.write': 'Create, change and delete webhooks.',
} as const;

type BuiltIn = keyof typeof BUILT_IN_PERMISSIONS;

/** The role that grants every permission, including those of customers' own services. */
export const ADMIN_ROLE = 'admin';
/** The role that every new account has. */
export const USER_ROLE = 'user';

/** The roles that always exist and never change. Roles that operators add have other names. */
export const BUILT_IN_ROLES: Readonly<
  Record<string, { description: string; permissions: readonly BuiltIn[] }>
> = {
  [ADMIN_ROLE]: {
    description: 'May do everything. There is always one active administrator.',
    permissions: Object.keys(BUILT_IN_PERMISSIONS) as BuiltIn[],
  },
  auditor: {
    description: 'Sees everything that concerns people and access, and changes nothing.',
    permissions: [
      'api_keys.read',
      'audit.read',
      'roles.read',
      'service_accounts.read',
      'sessions.read',
      'users.read',
    ],
  },
  support: {
    description: 'Helps people with their accounts, unless those may do more than support may.',
    permissions: ['sessions.read', 'sessions.revoke', 'users.read', 'users.write'],
  },
  [USER_ROLE]: { description: 'What every account has: nothing beyond itself.', permissions: [] },
};

/**
 * The maximum length of the names of all permissions together, separated by spaces (characters). An
 * administrator's token has them all in its `scope`, and no token is longer than 4 KiB.
 */
export const MAX_SCOPE_LENGTH = 1500;
