import { type EntityManager, query, timestamp } from '../platform/sql.ts';
import { etagOf } from '../platform/update.ts';
import { accountGone } from './account.repository.ts';

/** An account as its owner and administrators see it. */
export type User = {
  userId: string;
  email: string;
  emailVerified: boolean;
  displayName: string;
  /** Empty if nobody has said. */
  locale: string;
  state: 'active' | 'suspended' | 'deleted';
  roles: string[];
  mfaEnabled: boolean;
  createdAt: Date;
  updatedAt: Date;
  lastLoginAt: Date | undefined;
  lockedUntil: Date | undefined;
  etag: string;
};

type Row = Omit<User, 'createdAt' | 'updatedAt' | 'lastLoginAt' | 'lockedUntil' | 'etag'> & {
  createdAt: string;
  updatedAt: string;
  lastLoginAt: string | null;
  lockedUntil: string | null;
};

/** The columns of a `User`. `$1` is the present time. */
const COLUMNS = `
  a.id as "userId", a.email, a.email_verified_at is not null as "emailVerified",
  a.display_name as "displayName", coalesce(a.locale, '') as locale, a.state, a.roles, t.confirmed_at is not null as "mfaEnabled",
  a.created_at as "createdAt", a.updated_at as "updatedAt", a.last_login_at as "lastLoginAt",
  l.locked_until as "lockedUntil"`;
const JOINED = `
  left join totp_credentials t on t.account_id = a.id
  left join sign_in_locks l
    on l.account_id = a.id and l.factor = 'password' and l.locked_until > $1`;

/** Reads an account in one statement. Throws `TOKEN_REVOKED` once it is gone. */
export async function readUser(em: EntityManager, userId: string, now: Date): Promise<User> {
  const [user] = await readUsers(em, [userId], now);
  if (!user) throw accountGone();
  return user;
}

/** Reads those of these accounts that still exist, in the order of `userIds`, in one statement. */
export async function readUsers(
  em: EntityManager,
  userIds: readonly string[],
  now: Date,
): Promise<User[]> {
  const rows = await query<Row>(
    em,
    `select ${COLUMNS}
     from unnest($2::uuid[]) with ordinality as asked (id, place)
     join accounts a on a.id = asked.id ${JOINED}
     where a.state <> 'deleted' order by asked.place`,
    [now, userIds],
  );
  return rows.map(userOf);
}

function userOf(row: Row): User {
  // The etag covers what an update may have been based on.
  const { createdAt, updatedAt, lastLoginAt, lockedUntil, locale, ...others } = row;
  // Replicas of a version without it must come to the same etag.
  const editable = locale === '' ? others : { ...others, locale };
  return {
    ...others,
    locale,
    createdAt: timestamp(createdAt),
    updatedAt: timestamp(updatedAt),
    lastLoginAt: lastLoginAt === null ? undefined : timestamp(lastLoginAt),
    lockedUntil: lockedUntil === null ? undefined : timestamp(lockedUntil),
    etag: etagOf(editable),
  };
}
