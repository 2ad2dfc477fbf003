import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { type EntityManager, query, timestamp } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';

export type ExportSettings = {
  /** Undefined: both. */
  state: 'active' | 'suspended' | undefined;
  /** Empty: with any role. */
  role: string;
  /** Only for the operator, who can read the database as well. */
  passwordHashes: boolean;
};

/** A user with everything that an import accepts, and what it ignores. */
export type ExportedUser = {
  userId: string;
  externalId: string;
  email: string;
  emailVerified: boolean;
  displayName: string;
  /** Empty: English. */
  locale: string;
  /** Empty if there is none, or if it was not asked for. */
  passwordHash: string;
  roles: string[];
  state: 'active' | 'suspended';
  createdAt: Date;
  lastLoginAt: Date | undefined;
};

/** How many accounts one statement looks at, whatever the filter is. */
const PAGE = 1000;

/**
 * Yields all users that match a filter in pages, oldest account first, as fast as they are taken and in
 * constant memory. Users created meanwhile come last; changes made meanwhile may be included or not.
 *
 * The audit event of the export is on record before the first user is yielded.
 */
export async function* exportUsers(
  { database }: { database: Database },
  caller: Caller,
  settings: ExportSettings,
): AsyncGenerator<ExportedUser[]> {
  const { state, role, passwordHashes } = settings;
  const details = { state: state ?? '', role, password_hashes: passwordHashes };
  await database.transaction(caller, async (tx) => tx.audit({ type: 'users.exported', details }));
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const [users, last] = await database.read(caller, async (em) => {
      const end = await endOfPage(em, after);
      return [await readPage(em, after, end, settings), end] as const;
    });
    if (users.length > 0) yield users;
    if (last === undefined) return;
    after = last;
  }
}

/** Returns how many users there are about now, for a progress bar. */
export function countUsers({ database }: { database: Database }, caller: Caller): Promise<number> {
  return database.read(caller, (em) => accountsIn(em).count({ state: { $ne: 'deleted' } }));
}

/** The last id of a full page. Undefined if the rest fits into one page. */
async function endOfPage(em: EntityManager, after: string): Promise<string | undefined> {
  const [row] = await query<{ id: string }>(
    em,
    'select id from accounts where id > $1 order by id offset $2 limit 1',
    [after, PAGE - 1],
  );
  return row?.id;
}

type Row = Omit<ExportedUser, 'createdAt' | 'lastLoginAt'> & {
  createdAt: string;
  lastLoginAt: string | null;
};

async function readPage(
  em: EntityManager,
  after: string,
  end: string | undefined,
  { state, role, passwordHashes }: ExportSettings,
): Promise<ExportedUser[]> {
  const hash = passwordHashes
    ? `coalesce((select password_hash from password_credentials where account_id = a.id), '')`
    : `''`;
  const rows = await query<Row>(
    em,
    `select a.id as "userId", coalesce(a.external_id, '') as "externalId", a.email,
       a.email_verified_at is not null as "emailVerified", a.display_name as "displayName",
       coalesce(a.locale, '') as locale,
       ${hash} as "passwordHash", a.roles, a.state, a.created_at as "createdAt",
       a.last_login_at as "lastLoginAt"
     from accounts a
     where a.id > $1 and ($2::uuid is null or a.id <= $2) and a.state <> 'deleted'
       and ($3::text is null or a.state = $3) and ($4 = '' or $4 = any(a.roles))
     order by a.id ${end === undefined ? `limit ${PAGE}` : ''}`,
    [after, end ?? null, state ?? null, role],
  );
  return rows.map((row) => ({
    ...row,
    createdAt: timestamp(row.createdAt),
    lastLoginAt: row.lastLoginAt === null ? undefined : timestamp(row.lastLoginAt),
  }));
}
