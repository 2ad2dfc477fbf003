import { USER_ROLE } from '../access/permissions.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { eraseRemoved } from '../accounts/take-address.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { ImportRow } from './import-row.ts';

/** An existing account, as far as an import has to know it. */
export type FoundAccount = {
  id: string;
  externalId: string | null;
  canonicalEmail: string;
  displayName: string;
  locale: string | null;
  state: 'active' | 'suspended';
  roles: string[];
  verified: boolean;
  passwordHash: string | null;
  /** A sign-up whose address nobody has proved: see `Account.isDisposable`. */
  disposable: boolean;
  /** Created for someone who has never signed in nor chosen a password. */
  unused: boolean;
};

export type NewAccount = { id: string; row: ImportRow; roles: readonly string[] };

export type UpdatedAccount = {
  id: string;
  /** The names of the fields that change. */
  fields: string[];
  externalId?: string;
  displayName?: string;
  /** The previous one, if it changes. */
  oldDisplayName?: string;
  locale?: string;
  /** The previous one, if it changes. */
  oldLocale?: string;
  verified?: boolean;
  passwordHash?: string;
};

/** The condition of `Account.isDisposable`. */
const DISPOSABLE = `email_verified_at is null and last_login_at is null and invited_at is null
  and state = 'active' and roles <@ '{${USER_ROLE}}'`;

/** Finds the accounts that rows may name, by one index each, and locks them if `lock` says so. */
export function findAccounts(
  em: EntityManager,
  rows: readonly ImportRow[],
  { lock }: { lock: boolean },
): Promise<FoundAccount[]> {
  return query<FoundAccount>(
    em,
    `select a.id, a.external_id as "externalId", a.canonical_email as "canonicalEmail",
       a.display_name as "displayName", a.locale, a.state, a.roles,
       a.email_verified_at is not null as verified, p.password_hash as "passwordHash",
       ${DISPOSABLE} as disposable,
       a.last_login_at is null and a.invited_at is not null
         and coalesce(p.changed_at <= a.invited_at, true) as unused
     from accounts a left join password_credentials p on p.account_id = a.id
     where a.id in (
       select id from accounts where state <> 'deleted' and external_id = any($1::text[])
       union select id from accounts where state <> 'deleted' and canonical_email = any($2::text[])
     )
     order by a.id ${lock ? 'for update of a' : ''}`,
    [
      rows.map((row) => row.externalId).filter((id) => id !== ''),
      rows.map((row) => canonicalEmail(row.email)),
    ],
  );
}

/**
 * Deletes those of these accounts that still are sign-ups whose address nobody has proved, and what the
 * audit trail says of them.
 */
export async function removeDisposable(tx: Transaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const removed = await query<{ id: string }>(
    tx.em,
    `delete from accounts where id = any($1::uuid[]) and ${DISPOSABLE} returning id`,
    [ids],
  );
  for (const { id } of removed) await eraseRemoved(tx, id);
}

/**
 * Inserts accounts with their passwords in one statement, in the order of their addresses, so that two
 * imports never deadlock. Leaves out those whose address or external id someone else has just taken.
 * Returns the ids of the others.
 */
export async function insertAccounts(
  em: EntityManager,
  now: Date,
  accounts: readonly NewAccount[],
): Promise<ReadonlySet<string>> {
  if (accounts.length === 0) return new Set();
  const created = await query<{ id: string }>(
    em,
    `with rows as (
       select * from json_to_recordset($1::json) as r (
         id uuid, external_id text, email text, canonical_email text, display_name text, locale text,
         state text, roles text[], verified boolean, created_at timestamptz, password_hash text)
     ), created as (
       insert into accounts (id, external_id, email, canonical_email, display_name, locale, state,
         roles, email_verified_at, created_at, updated_at, invited_at)
       select id, external_id, email, canonical_email, display_name, locale, state, roles,
         case when verified then $2::timestamptz end, created_at, $2, $2
       from rows order by canonical_email
       on conflict do nothing returning id
     ), passwords as (
       insert into password_credentials (account_id, password_hash, changed_at)
       select id, password_hash, $2 from rows join created using (id) where password_hash is not null
     )
     select id from created`,
    [JSON.stringify(accounts.map((account) => newRow(account, now))), now],
  );
  return new Set(created.map(({ id }) => id));
}

function newRow({ id, row, roles }: NewAccount, now: Date) {
  return {
    id,
    external_id: row.externalId || null,
    email: row.email,
    canonical_email: canonicalEmail(row.email),
    display_name: row.displayName,
    locale: row.locale || null,
    state: row.state ?? 'active',
    roles,
    verified: row.emailVerified,
    created_at: row.createdAt ?? now,
    password_hash: row.passwordHash || null,
  };
}

/** Changes accounts that the transaction has locked, in one statement. */
export async function updateAccounts(
  em: EntityManager,
  now: Date,
  changes: readonly UpdatedAccount[],
): Promise<void> {
  if (changes.length === 0) return;
  await query(
    em,
    `with rows as (
       select * from json_to_recordset($1::json) as r (
         id uuid, "externalId" text, "displayName" text, locale text, verified boolean,
         "passwordHash" text)
     ), changed as (
       update accounts a set
         external_id = coalesce(r."externalId", a.external_id),
         display_name = coalesce(r."displayName", a.display_name),
         locale = coalesce(r.locale, a.locale),
         email_verified_at = case when r.verified then $2::timestamptz else a.email_verified_at end,
         -- As late as the password, which its owner has not chosen here: so the account stays unused.
         invited_at = case when r."passwordHash" is null then a.invited_at else $2 end,
         updated_at = $2
       from rows r where a.id = r.id
     )
     insert into password_credentials (account_id, password_hash, changed_at)
     select id, "passwordHash", $2 from rows where "passwordHash" is not null
     on conflict (account_id) do update
     set password_hash = excluded.password_hash, changed_at = excluded.changed_at`,
    [JSON.stringify(changes), now],
  );
}
