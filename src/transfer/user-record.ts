import type { ExportedUser } from './export-users.ts';
import { type Fault, type ImportRow, invalid } from './import-row.ts';

/** The names of a user's fields in files, in the order of columns. */
export const FIELDS = [
  'external_id',
  'email',
  'email_verified',
  'display_name',
  'password_hash',
  'roles',
  'state',
  'created_at',
  'user_id',
  'last_login_at',
  // At the end: whoever reads exports by the place of columns finds the others where they were.
  'locale',
] as const;

type Field = (typeof FIELDS)[number];

/** A user in a file. */
export type UserRecord = Partial<Record<Field, unknown>>;

const KNOWN: ReadonlySet<string> = new Set(FIELDS);
/** RFC 3339. */
const TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** What is wrong with the name of a field, if anything. */
export function unknownField(name: string): string | undefined {
  if (KNOWN.has(name)) return undefined;
  if (name === 'password') return 'is never imported; give its hash as `password_hash`';
  return `is not a field of a user; the fields are ${FIELDS.join(', ')}`;
}

/** The row of a record, or the first fault in it. A field that is `null` counts as absent. */
export function readRecord(record: unknown): { row: ImportRow } | { fault: Fault } {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    return { fault: invalid('', 'is not an object') };
  }
  const given = Object.entries(record).filter(([, value]) => value !== null);
  for (const [name] of given) {
    const problem = unknownField(name);
    if (problem !== undefined) return { fault: invalid(name.slice(0, 40), problem) };
  }
  const fields: UserRecord = Object.fromEntries(given);
  const fault = typeFault(fields);
  return fault ? { fault } : { row: rowOf(fields) };
}

type Rule = [field: Field, isValid: (value: unknown) => boolean, otherwise: string];

const isText = (value: unknown) => typeof value === 'string';
const isTime = (value: unknown) =>
  typeof value === 'string' && TIME.test(value) && !Number.isNaN(Date.parse(value));

const RULES: readonly Rule[] = [
  ['external_id', isText, 'is not a string'],
  ['email', isText, 'is not a string'],
  ['email_verified', (value) => typeof value === 'boolean', 'is neither true nor false'],
  ['display_name', isText, 'is not a string'],
  ['locale', isText, 'is not a string'],
  ['password_hash', isText, 'is not a string'],
  ['roles', (value) => Array.isArray(value) && value.every(isText), 'is not a list of strings'],
  [
    'state',
    (value) => value === 'active' || value === 'suspended',
    'is neither "active" nor "suspended"',
  ],
  ['created_at', isTime, 'is not a time like 2024-01-31T12:00:00Z'],
];

function typeFault(fields: UserRecord): Fault | undefined {
  const broken = RULES.find(([name, isValid]) => name in fields && !isValid(fields[name]));
  return broken && invalid(broken[0], broken[2]);
}

function rowOf(fields: UserRecord): ImportRow {
  const text = (name: Field) => (fields[name] as string | undefined) ?? '';
  return {
    externalId: text('external_id'),
    email: text('email'),
    emailVerified: fields.email_verified === true,
    displayName: text('display_name'),
    locale: text('locale'),
    passwordHash: text('password_hash'),
    roles: (fields.roles as string[] | undefined) ?? [],
    state: fields.state as ImportRow['state'],
    createdAt: 'created_at' in fields ? new Date(text('created_at')) : undefined,
  };
}

/** The record of a user, without the fields that are empty. */
export function recordOf(user: ExportedUser): UserRecord {
  return {
    ...(user.externalId && { external_id: user.externalId }),
    email: user.email,
    email_verified: user.emailVerified,
    ...(user.displayName && { display_name: user.displayName }),
    ...(user.locale && { locale: user.locale }),
    ...(user.passwordHash && { password_hash: user.passwordHash }),
    roles: user.roles,
    state: user.state,
    created_at: user.createdAt.toISOString(),
    user_id: user.userId,
    ...(user.lastLoginAt && { last_login_at: user.lastLoginAt.toISOString() }),
  };
}
