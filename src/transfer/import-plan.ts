import { USER_ROLE } from '../access/permissions.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { Caller } from '../platform/caller.ts';
import type { FoundAccount, NewAccount, UpdatedAccount } from './import-accounts.ts';
import type { ImportRights } from './import-rights.ts';
import { type Fault, type ImportRow, invalid, rolesOf } from './import-row.ts';

/** What to do about a row. */
export type Decision =
  | { type: 'create'; account: NewAccount; inPlaceOf: string | undefined }
  | { type: 'update'; change: UpdatedAccount }
  | { type: 'unchanged'; userId: string }
  | { type: 'refuse'; fault: Fault };

/** The accounts that the rows of a batch may name, by their keys. */
export type Found = {
  byExternalId: ReadonlyMap<string, FoundAccount>;
  byEmail: ReadonlyMap<string, FoundAccount>;
};

export type PlanOptions = {
  update: boolean;
  rights: ImportRights;
  caller: Caller;
};

/**
 * Decides about a row by the account that it names: by its external id, or else by its address. A
 * sign-up whose address nobody has proved gives way, as it does to CreateUser.
 */
export function decide(row: ImportRow, id: string, found: Found, options: PlanOptions): Decision {
  const byId = row.externalId === '' ? undefined : found.byExternalId.get(row.externalId);
  if (byId) return decideOnExisting(row, byId, options);
  const byEmail = found.byEmail.get(canonicalEmail(row.email));
  if (!byEmail || byEmail.disposable) return decideToCreate(row, id, byEmail?.id, options);
  if (row.externalId !== '' && byEmail.externalId !== null) {
    const message = 'belongs to an account with another external id';
    return { type: 'refuse', fault: { reason: 'EMAIL_TAKEN', field: 'email', message } };
  }
  return decideOnExisting(row, byEmail, options);
}

function decideToCreate(
  row: ImportRow,
  id: string,
  inPlaceOf: string | undefined,
  { rights }: PlanOptions,
): Decision {
  const roles = rolesOf(row);
  const unknown = roles.find((role) => !rights.exists(role));
  if (unknown !== undefined) {
    return refuse(invalid('roles', `include ${shown(unknown)}, which is not a role`));
  }
  const missing = rights.missingToGrant(roles);
  if (missing !== undefined) return refuse(denied('roles', missing));
  return { type: 'create', account: { id, row, roles }, inPlaceOf };
}

/** An import never ends sessions or takes rights away: other methods do that. */
function decideOnExisting(
  row: ImportRow,
  account: FoundAccount,
  { update, rights, caller }: PlanOptions,
): Decision {
  const unchanged: Decision = { type: 'unchanged', userId: account.id };
  if (!update) return unchanged;
  const missing = account.id === caller.subject ? undefined : rights.missingToTouch(account.roles);
  if (missing !== undefined) return refuse(denied('', missing));
  const fault = unchangeable(row, account);
  if (fault) return refuse(fault);
  const change = changeOf(row, account, caller.kind === 'operator');
  return change.fields.length === 0 ? unchanged : { type: 'update', change };
}

function unchangeable(row: ImportRow, account: FoundAccount): Fault | undefined {
  if (canonicalEmail(row.email) !== account.canonicalEmail)
    return invalid('email', 'is not the address of the account; use UpdateUser to change it');
  if (row.state !== undefined && row.state !== account.state)
    return invalid(
      'state',
      'is not the state of the account; use SuspendUser or ReinstateUser to change it',
    );
  if (row.roles.length > 0 && !sameRoles(row.roles, account.roles))
    return invalid(
      'roles',
      'are not the roles of the account; use GrantRole or RevokeRole to change them',
    );
  return undefined;
}

function sameRoles(some: readonly string[], others: readonly string[]): boolean {
  const [a, b] = [new Set([USER_ROLE, ...some]), new Set([USER_ROLE, ...others])];
  return a.size === b.size && [...a].every((role) => b.has(role));
}

function changeOf(row: ImportRow, account: FoundAccount, isOperator: boolean): UpdatedAccount {
  const fields: string[] = [];
  const change: UpdatedAccount = { id: account.id, fields };
  if (row.externalId !== '' && account.externalId === null) {
    fields.push('external_id');
    change.externalId = row.externalId;
  }
  if (row.displayName !== '' && row.displayName !== account.displayName) {
    fields.push('display_name');
    change.displayName = row.displayName;
    change.oldDisplayName = account.displayName;
  }
  if (row.locale !== '' && row.locale !== account.locale) {
    fields.push('locale');
    change.locale = row.locale;
    change.oldLocale = account.locale ?? '';
  }
  // No administrator sets the password of an existing account (C08), and once its owner has used it,
  // not even the operator does.
  if (!isOperator || !account.unused) return change;
  if (row.emailVerified && !account.verified) {
    fields.push('email_verified');
    change.verified = true;
  }
  if (row.passwordHash !== '' && row.passwordHash !== account.passwordHash) {
    fields.push('password_hash');
    change.passwordHash = row.passwordHash;
  }
  return change;
}

function refuse(fault: Fault): Decision {
  return { type: 'refuse', fault };
}

function denied(field: string, permission: string): Fault {
  const message = `the permission ${permission} is needed: callers can only change what their own permissions cover`;
  return { reason: 'PERMISSION_DENIED', field, message };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
