import { USER_ROLE } from '../access/permissions.ts';
import { checkEmail, EMAIL_FORM, MAX_EMAIL } from '../accounts/check-email.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { isSupportedHash } from '../passwords/password-hash.ts';
import { Failure, type Reason } from '../platform/failure.ts';

/** An account as another system exports it. Empty and undefined mean: not given. */
export type ImportRow = {
  /** The account's id in the other system, by which it is found again. */
  externalId: string;
  email: string;
  emailVerified: boolean;
  displayName: string;
  /** A language tag (RFC 5646). */
  locale: string;
  /** In a form that `isSupportedHash` accepts. */
  passwordHash: string;
  roles: readonly string[];
  state: 'active' | 'suspended' | undefined;
  createdAt: Date | undefined;
};

/** Why a row is refused, and the field at fault; empty if it is no single field. */
export type Fault = { reason: Reason; field: string; message: string };

/** A row and its number or line. */
export type NumberedRow = { place: number; row: ImportRow };

/** What has come in: a row, or the fault of what can't be read as one. */
export type Incoming = NumberedRow | { place: number; fault: Fault };

/** What became of a row. */
export type RowResult = { place: number } & (
  | { outcome: 'created' | 'updated' | 'unchanged'; userId: string }
  | { outcome: 'refused'; fault: Fault }
);

export type ImportSettings = {
  /** Whether to report what would become of each row, and write nothing. */
  dryRun: boolean;
  /** Whether to change accounts that exist. */
  update: boolean;
};

const MAX_NAME = 200;
const MAX_EXTERNAL_ID = 255;
/** Tokens carry the names of all roles. */
const MAX_ROLES = 10;
const MAX_LOCALE = 35;
/** As in the messages of the API. */
const LOCALE = /^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*$/;
const EARLIEST = Date.UTC(1970, 0, 1);

// biome-ignore lint/suspicious/noControlCharactersInRegex: this looks for them.
const CONTROL = /[\x00-\x1f\x7f]/;

/** The fault of a field that is invalid. */
export function invalid(field: string, message: string): Fault {
  return { reason: 'INVALID_REQUEST', field, message };
}

/** What is wrong with a row on its own; undefined if nothing is. */
export function faultOf(row: ImportRow, now: Date): Fault | undefined {
  return (
    externalIdFault(row.externalId) ??
    emailFault(row.email) ??
    nameFault(row.displayName) ??
    (row.locale === '' || isLocale(row.locale)
      ? undefined
      : invalid('locale', 'is not a language tag like de or pt-BR')) ??
    (row.passwordHash !== '' && !isSupportedHash(row.passwordHash)
      ? invalid('password_hash', 'is not a supported kind of hash, or takes too long to check')
      : undefined) ??
    (row.roles.length > MAX_ROLES
      ? invalid('roles', `are more than the ${MAX_ROLES} that an account may have`)
      : undefined) ??
    createdAtFault(row.createdAt, now)
  );
}

/** The roles of a new account: the one that everyone has, and those of the row. */
export function rolesOf({ roles }: ImportRow): string[] {
  return [...new Set([USER_ROLE, ...roles])];
}

function externalIdFault(externalId: string): Fault | undefined {
  if ([...externalId].length > MAX_EXTERNAL_ID)
    return invalid('external_id', `is longer than ${MAX_EXTERNAL_ID} characters`);
  if (CONTROL.test(externalId) || !externalId.isWellFormed())
    return invalid('external_id', 'has control characters or half a surrogate pair');
  return undefined;
}

function emailFault(email: string): Fault | undefined {
  if (email === '') return invalid('email', 'is missing');
  if (email.length > MAX_EMAIL) return invalid('email', `is longer than ${MAX_EMAIL} characters`);
  if (!EMAIL_FORM.test(email)) return invalid('email', 'is not an address');
  try {
    checkEmail(email, 'email');
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return invalid('email', error.details.fields?.[0]?.description ?? error.message);
  }
}

function nameFault(displayName: string): Fault | undefined {
  // Measured in code units first, so that a name of a megabyte is not taken apart.
  if (displayName.length > 2 * MAX_NAME || [...displayName].length > MAX_NAME)
    return invalid('display_name', `is longer than ${MAX_NAME} characters`);
  if (displayName.includes('\0') || !displayName.isWellFormed())
    return invalid('display_name', 'has a NUL or half a surrogate pair');
  return undefined;
}

function isLocale(text: string): boolean {
  return text.length <= MAX_LOCALE && LOCALE.test(text);
}

function createdAtFault(createdAt: Date | undefined, now: Date): Fault | undefined {
  if (createdAt === undefined) return undefined;
  const time = createdAt.getTime();
  if (!(time >= EARLIEST)) return invalid('created_at', 'is not a time since 1970');
  return time > now.getTime() ? invalid('created_at', 'is in the future') : undefined;
}

/** The keys by which a row names its account. No two rows of a batch share one. */
export function keysOf(incoming: Incoming): string[] {
  if ('fault' in incoming) return [];
  const { externalId, email } = incoming.row;
  const byEmail = `email ${canonicalEmail(email)}`;
  return externalId === '' ? [byEmail] : [byEmail, `id ${externalId}`];
}
