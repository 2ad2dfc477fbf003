import type pg from 'pg';
import { canonicalEmail } from '../../src/accounts/email.ts';
import { madeUpPerson } from './made-up-people.ts';

/**
 * The ids of seeded rows contain their number and a time before the service existed, starting here and
 * a tenth of a second apart. No id of the service's own lies between them.
 */
const FIRST_ID_MS = Date.UTC(2020, 0, 1);
const LAST_ID_MS = Date.UTC(2025, 0, 1);
const ID_STEP_MS = 100;
const ID_MIDDLE = '70008000';

const SUSPENDED_EVERY = 50;
const GENERATIONS = 40;
const USER_AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  'grpc-node-js/1.14.7',
];
const DEVICES = ['Laptop', 'Phone', 'Office desktop', 'Tablet', '', 'Kitchen computer'];

/** Returns the id of the row with this number, which starts at 1. */
export function seededId(number: number): string {
  const digits =
    (FIRST_ID_MS + number * ID_STEP_MS).toString(16).padStart(12, '0') +
    ID_MIDDLE +
    number.toString(16).padStart(12, '0');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Returns the SQL of the same id, for an expression that is the number. */
function idSql(number: string): string {
  const time = `lpad(to_hex(${FIRST_ID_MS} + (${number}) * ${ID_STEP_MS}), 12, '0')`;
  return `(${time} || '${ID_MIDDLE}' || lpad(to_hex(${number}), 12, '0'))::uuid`;
}

/** The first id after those of seeded rows. */
export const END_OF_SEEDED_IDS = boundary(LAST_ID_MS);
export const START_OF_SEEDED_IDS = boundary(FIRST_ID_MS);

function boundary(ms: number): string {
  const digits = ms.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000`;
}

/** Returns the number of the row with this id. */
export function seededNumber(id: string): number {
  return Number.parseInt(id.slice(-12), 16);
}

/** Returns the owner of a session. An account's sessions are far from each other, as in practice. */
export function ownerOf(session: number, accounts: number): number {
  return ((session - 1) % accounts) + 1;
}

/** Returns whether an account may sign in. The sessions of the other accounts have ended. */
export function isActive(account: number): boolean {
  return account % SUSPENDED_EVERY !== 0;
}

/** Returns how often a session has been refreshed. */
export function generationOf(session: number): number {
  return session % GENERATIONS;
}

/** The rows from one number to another, both included. */
export type Batch = { from: number; to: number };

/** Inserts accounts in one statement, all with the same password. */
export async function insertAccounts(
  client: pg.Client,
  { from, to }: Batch,
  passwordHash: string,
): Promise<void> {
  const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const people = numbers.map(madeUpPerson);
  await client.query(
    `with people as (
       select ${idSql('n')} as id, n, email, canonical_email, display_name,
         now() - interval '2 years' * (1 - n % 9973 / 9973.0) as created_at
       from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
         as person (n, email, canonical_email, display_name)
     ), inserted as (
       insert into accounts (id, email, canonical_email, display_name, state, email_verified_at,
         roles, created_at, updated_at, last_login_at)
       select id, email, canonical_email, display_name,
         case when n % ${SUSPENDED_EVERY} = 0 then 'suspended' else 'active' end,
         case when n % 20 = 0 then null else created_at end, '{user}', created_at, created_at,
         case when n % 10 <> 0 then greatest(created_at, now() - interval '1 day' * (n % 300)) end
       from people
     )
     insert into password_credentials (account_id, password_hash, changed_at)
     select id, $5, created_at from people`,
    [
      numbers,
      people.map(({ email }) => email),
      people.map(({ email }) => canonicalEmail(email)),
      people.map(({ displayName }) => displayName),
      passwordHash,
    ],
  );
}

/** Inserts sessions of this many accounts, begun in the last ten days, in one statement. */
export async function insertSessions(
  client: pg.Client,
  { from, to }: Batch,
  accounts: number,
  refreshHash: Uint8Array,
): Promise<void> {
  await client.query(
    `insert into sessions (id, account_id, device_label, user_agent, ip_address, amr, auth_time,
       created_at, expires_at, ended_at, end_cause, refresh_generation, refresh_hash,
       refresh_key_version, refreshed_at)
     select ${idSql('n')}, ${idSql('owner')}, ($4::text[])[1 + n / 7 % ${DEVICES.length}],
       ($5::text[])[1 + n / 3 % ${USER_AGENTS.length}],
       case when n % 4 = 0 then '2001:db8::' || to_hex(n % 65536) else '198.51.100.' || n % 256 end,
       case when n % 5 = 0 then '{pwd,otp,mfa}'::text[] else '{pwd}' end, begun, begun,
       begun + interval '30 days',
       case when owner % ${SUSPENDED_EVERY} = 0 then now() end,
       case when owner % ${SUSPENDED_EVERY} = 0 then 'session_revoked' end,
       n % ${GENERATIONS}, $6, 1, begun + (now() - begun) * (n % 997 / 997.0)
     from generate_series($1::bigint, $2::bigint) n,
       lateral (select (n - 1) % $3::bigint + 1 as owner,
         now() - interval '10 days' * (n * 7919 % 9973 / 9973.0) as begun) session`,
    [from, to, accounts, DEVICES, USER_AGENTS, refreshHash],
  );
}
