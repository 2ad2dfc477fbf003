import { createHash } from 'node:crypto';
import { accountGone } from '../accounts/own-account.ts';
import { type EntityManager, query, timestamp } from '../platform/database.ts';

/** An account as its owner sees it. */
export type User = {
  userId: string;
  email: string;
  emailVerified: boolean;
  displayName: string;
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

/** Reads an account in one statement. Throws `TOKEN_REVOKED` where it is gone. */
export async function readUser(em: EntityManager, userId: string, now: Date): Promise<User> {
  const [row] = await query<Row>(
    em,
    `select a.id as "userId", a.email, a.email_verified_at is not null as "emailVerified",
       a.display_name as "displayName", a.state, a.roles, t.confirmed_at is not null as "mfaEnabled",
       a.created_at as "createdAt", a.updated_at as "updatedAt", a.last_login_at as "lastLoginAt",
       l.locked_until as "lockedUntil"
     from accounts a
     left join totp_credentials t on t.account_id = a.id
     left join sign_in_locks l
       on l.account_id = a.id and l.factor = 'password' and l.locked_until > $2
     where a.id = $1 and a.state <> 'deleted'`,
    [userId, now],
  );
  if (!row) throw accountGone();
  return {
    ...row,
    createdAt: timestamp(row.createdAt),
    updatedAt: timestamp(row.updatedAt),
    lastLoginAt: row.lastLoginAt === null ? undefined : timestamp(row.lastLoginAt),
    lockedUntil: row.lockedUntil === null ? undefined : timestamp(row.lockedUntil),
    etag: etagOf(row),
  };
}

/** Changes with whatever an update may have been based on, and with nothing else: AIP-154. */
function etagOf({ createdAt, updatedAt, lastLoginAt, lockedUntil, ...editable }: Row): string {
  return createHash('sha256').update(JSON.stringify(editable)).digest('base64url').slice(0, 22);
}
