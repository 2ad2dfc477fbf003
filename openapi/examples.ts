import type { Schema } from './rules.ts';

type Named = Readonly<Record<string, Schema>>;

const ID = '01990f4e-6c3d-7b52-9a51-3f0d2c6b8e17';

/** Examples of the fields of requests, by name. Other fields are shown only if they are required. */
const VALUES: Readonly<Record<string, unknown>> = {
  code: '123456',
  currentPassword: 'correct horse battery',
  deviceLabel: 'my laptop',
  displayName: 'Ada',
  email: 'you@example.com',
  eventTypes: ['session.*'],
  newEmail: 'ada@example.com',
  newPassword: 'another horse battery',
  pageSize: 20,
  password: 'correct horse battery',
  reason: 'left the company',
  refreshToken: 'the refresh token',
  requiredScopes: ['orders.read'],
  scopes: ['orders.read'],
  secret: 'csk_the-secret',
  token: 'the token',
  totpCode: '123456',
  updateMask: 'displayName',
};

const ROLE = { name: 'clerk', description: 'Takes orders.', permissions: ['orders.read'] };

/** Examples of single requests: fields whose name means something else there, or that are worth showing. */
const VALUES_OF: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  CreateApiKeyRequest: { displayName: 'nightly job' },
  CreatePermissionRequest: { permission: { name: 'orders.read', description: 'Reads orders.' } },
  CreateRoleRequest: { role: ROLE },
  CreateServiceAccountRequest: { displayName: 'orders', description: 'Takes orders.' },
  CreateWebhookRequest: { displayName: 'invoices', url: 'https://example.com/hooks' },
  DeletePermissionRequest: { name: 'orders.read' },
  DeleteRoleRequest: { name: 'clerk' },
  ExchangeApiKeyRequest: { audience: 'https://orders.example.com' },
  ExchangeTokenRequest: { audience: 'https://orders.example.com' },
  FinishPasskeyRegistrationRequest: { displayName: 'my laptop' },
  GrantRoleRequest: { role: 'support' },
  RenamePasskeyRequest: { displayName: 'my laptop' },
  RevokeRoleRequest: { role: 'support' },
  RevokeSigningKeyRequest: {
    keyId: 'Qb3cZb0dXkG8xq1m0e9pJr5vW7sT2uY4iOaLfHnKcDE',
    reason: 'the backup was lost',
  },
  UpdateApiKeyRequest: { apiKey: { apiKeyId: ID, displayName: 'nightly job' } },
  UpdateMeRequest: { user: { displayName: 'Ada', locale: 'de' }, updateMask: 'displayName,locale' },
  UpdateRoleRequest: {
    role: { name: 'clerk', description: 'Takes orders.' },
    updateMask: 'description',
  },
  UpdateUserRequest: { user: { userId: ID, displayName: 'Ada' } },
  UpdateWebhookRequest: { webhook: { webhookId: ID, displayName: 'invoices' } },
};

/** A request that fits its schema: what it must have, and what is instructive. */
export function exampleOf(name: string, schemas: Named): unknown {
  const {
    properties = {},
    required = [],
    oneOf = [],
  } = (schemas[name] ?? {}) as {
    properties?: Named;
    required?: string[];
    oneOf?: { required?: string[] }[];
  };
  const alternatives = oneOf.flatMap((each) => each.required ?? []);
  const needed = new Set([...required, ...alternatives.slice(0, 1)]);
  const own = VALUES_OF[name] ?? {};
  const isShown = (field: string) =>
    needed.has(field) || (!alternatives.includes(field) && (field in VALUES || field in own));
  const chosen = Object.entries(properties).filter(([field]) => isShown(field));
  return Object.fromEntries(
    chosen.map(([field, of]) => [field, own[field] ?? VALUES[field] ?? anyValue(of, schemas)]),
  );
}

function anyValue(schema: Schema, schemas: Named): unknown {
  const { $ref, type, format, minimum, items, pattern } = schema;
  if (typeof $ref === 'string') {
    const name = $ref.slice($ref.lastIndexOf('/') + 1);
    const values = schemas[name]?.['enum'] as string[] | undefined;
    return values ? values[1] : exampleOf(name, schemas);
  }
  if (type === 'array') return [anyValue(items as Schema, schemas)];
  if (type === 'boolean') return true;
  if (type === 'integer') return Number(minimum ?? 1);
  if (format === 'uuid') return ID;
  if (format === 'date-time') return '2027-01-01T00:00:00Z';
  return String(pattern ?? '').endsWith('s$') ? '3600s' : 'text';
}
