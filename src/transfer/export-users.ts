import { type AuditEntry, recordAll } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { type EntityManager, query, timestamp } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';

export type ExportDeps = { database: SqlDatabase; clock: Clock };

export type ExportSettings = {
  /** Undefined: the operator at the command line. */
  actor: string | undefined;
  /** Undefined: users who are active, and users who are suspended. */
  state: 'active' | 'suspended' | undefined;
  /** Empty: with any. */
  role: string;
  /** Only at the command line, whose user can read the database as well. */
  passwordHashes: boolean;
};

/** A user as an import takes it, and what an import passes over. */
export type ExportedUser = {
  userId: string;
  externalId: string;
  email: string;
  emailVerified: boolean;
  displayName: string;
  /** Empty: there is none, or it was not asked for. */
  passwordHash: string;
  roles: string[];
  state: 'active' | 'suspended';
  createdAt: Date;
  lastLoginAt: Date | undefined;
};

/** Accounts that are looked at in one statement, whatever they are filtered by. */
const PAGE = 1000;

/**
 * All users that a filter leaves, in pages, the oldest account first: read as fast as they are taken,
 * in constant memory. Who is created meanwhile comes last; a change meanwhile may be seen or not.
 *
 * That it was done, and by whom, is on record before the first user is handed out.
 */
export async function* exportUsers(
  deps: ExportDeps,
  caller: Caller,
  settings: ExportSettings,
): AsyncGenerator<ExportedUser[]> {
  const { actor, state, role, passwordHashes } = settings;
  const details = { state: state ?? '', role, password_hashes: passwordHashes };
  const event: AuditEntry = { type: 'users.exported', actor, details };
  await deps.database.transaction((em) => recordAll(em, deps, caller, [event]), caller.signal);
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const [users, last] = await deps.database.read(async (em) => {
      const end = await endOfPage(em, after);
      return [await readPage(em, after, end, settings), end] as const;
    }, caller.signal);
    if (users.length > 0) yield users;
    if (last === undefined) return;
    after = last;
  }
}

/** How many users there are, about, for a bar that shows how far it has come. */
export async function countUsers({ database }: Pick<ExportDeps, 'database'>): Promise<number> {
  const [row] = await database.read((em) =>
    query<{ n: number }>(em, `select count(*)::int as n from accounts where state <> 'deleted'`),
  );
  return row?.n ?? 0;
}

/** The last id of a full page. Undefined: what is left fits into one. */
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
