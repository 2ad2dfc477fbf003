import { USER_ROLE } from '../access/permissions.ts';
import { canonicalEmail, checkEmail } from '../accounts/email.ts';
import { isSupportedHash } from '../passwords/password-hash.ts';
import { Failure, type Reason } from '../platform/failure.ts';

/** An account as another system hands it over. Empty and undefined: not said. */
export type ImportRow = {
  /** What the other system calls it: by this it is found again. */
  externalId: string;
  email: string;
  emailVerified: boolean;
  displayName: string;
  /** As `isSupportedHash` takes it. */
  passwordHash: string;
  roles: readonly string[];
  state: 'active' | 'suspended' | undefined;
  createdAt: Date | undefined;
};

/** Why a row is refused, and which of its fields is at fault: empty, where it is none alone. */
export type Fault = { reason: Reason; field: string; message: string };

/** What has come in: a row, or what can't be read as one. `place` is the row's number or line. */
export type Incoming = { place: number } & ({ row: ImportRow } | { fault: Fault });

/** What became of a row. */
export type RowResult = { place: number } & (
  | { outcome: 'created' | 'updated' | 'unchanged'; userId: string }
  | { outcome: 'refused'; fault: Fault }
);

const MAX_EMAIL = 254;
const MAX_NAME = 200;
const MAX_EXTERNAL_ID = 255;
/** Tokens carry the names of all roles. */
const MAX_ROLES = 10;
const EARLIEST = Date.UTC(1970, 0, 1);

/** The HTML standard's, as sign-ups take addresses. */
const EMAIL =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\x00-\x1f\x7f]/;

export function invalid(field: string, message: string): Fault {
  return { reason: 'INVALID_REQUEST', field, message };
}

/** What no account may be made of, before anything else is looked at: undefined where it is well. */
export function faultOf(row: ImportRow, now: Date): Fault | undefined {
  return (
    externalIdFault(row.externalId) ??
    emailFault(row.email) ??
    nameFault(row.displayName) ??
    (row.passwordHash !== '' && !isSupportedHash(row.passwordHash)
      ? invalid('password_hash', 'is of no kind that is supported, or takes too long to check')
      : undefined) ??
    (row.roles.length > MAX_ROLES
      ? invalid('roles', `are more than ${MAX_ROLES}, which nobody has`)
      : undefined) ??
    createdAtFault(row.createdAt, now)
  );
}

/** The roles that a new account gets: what everybody has, and what the row says. */
export function rolesOf({ roles }: ImportRow): string[] {
  return [...new Set([USER_ROLE, ...roles])];
}

function externalIdFault(externalId: string): Fault | undefined {
  if ([...externalId].length > MAX_EXTERNAL_ID)
    return invalid('external_id', `is longer than ${MAX_EXTERNAL_ID} characters`);
  if (CONTROL.test(externalId) || !externalId.isWellFormed())
    return invalid('external_id', 'has characters that are not printed');
  return undefined;
}

function emailFault(email: string): Fault | undefined {
  if (email === '') return invalid('email', 'is missing');
  if (email.length > MAX_EMAIL) return invalid('email', `is longer than ${MAX_EMAIL} characters`);
  if (!EMAIL.test(email)) return invalid('email', 'is not an address');
  try {
    checkEmail(email, 'email');
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return invalid('email', error.details.fields?.[0]?.description ?? error.message);
  }
}

function nameFault(displayName: string): Fault | undefined {
  // Measured in code units first: a name of a megabyte is not taken apart.
  if (displayName.length > 2 * MAX_NAME || [...displayName].length > MAX_NAME)
    return invalid('display_name', `is longer than ${MAX_NAME} characters`);
  if (displayName.includes('\0') || !displayName.isWellFormed())
    return invalid('display_name', 'has characters that are none: NUL or half a pair');
  return undefined;
}

function createdAtFault(createdAt: Date | undefined, now: Date): Fault | undefined {
  if (createdAt === undefined) return undefined;
  const time = createdAt.getTime();
  if (!(time >= EARLIEST)) return invalid('created_at', 'is not a time since 1970');
  return time > now.getTime() ? invalid('created_at', 'is in the future') : undefined;
}

/** What names a row: no two rows of one batch share any of it. */
export function keysOf(incoming: Incoming): string[] {
  if ('fault' in incoming) return [];
  const { externalId, email } = incoming.row;
  const byEmail = `email ${canonicalEmail(email)}`;
  return externalId === '' ? [byEmail] : [byEmail, `id ${externalId}`];
}
