import { accountsIn, type SignInAccount } from '../accounts/account.repository.ts';
import type { LockState } from '../passwords/sign-in-lock.repository.ts';
import { type EntityManager, query, timestamp } from '../platform/sql.ts';

/** What decides about a sign-in by password. */
export type SignInState = LockState & {
  account: SignInAccount;
  passwordHash: string | undefined;
  hasTotp: boolean;
  isNewDevice: boolean;
};

type Row = {
  passwordHash: string | null;
  failures: number | null;
  lockedUntil: string | null;
  hasTotp: boolean;
  isNewDevice: boolean;
};

export type Device = { deviceLabel: string; userAgent: string };

/**
 * Locks a live account until the transaction ends, and reads what decides about its sign-in. That takes
 * two statements: one that waits for a lock sees the joined tables as they were before it waited. A
 * device is new if the account has sessions, none of which has the same program and label.
 */
export async function lockForSignIn(
  em: EntityManager,
  accountId: string,
  device: Device,
): Promise<SignInState | undefined> {
  const account = await accountsIn(em).lockForSignIn(accountId);
  if (!account) return undefined;
  const [row] = await query<Row>(
    em,
    `select p.password_hash as "passwordHash", l.failures, l.locked_until as "lockedUntil",
       t.confirmed_at is not null as "hasTotp",
       (select bool_and(s.user_agent <> $2 or s.device_label <> $3)
        from sessions s where s.account_id = a.id) is true as "isNewDevice"
     from accounts a
     left join password_credentials p on p.account_id = a.id
     left join sign_in_locks l on l.account_id = a.id and l.factor = 'password'
     left join totp_credentials t on t.account_id = a.id
     where a.id = $1`,
    [accountId, device.userAgent.slice(0, 500), device.deviceLabel],
  );
  return {
    account,
    passwordHash: row?.passwordHash ?? undefined,
    failures: row?.failures ?? 0,
    lockedUntil: row?.lockedUntil ? timestamp(row.lockedUntil) : undefined,
    hasTotp: row?.hasTotp === true,
    isNewDevice: row?.isNewDevice === true,
  };
}
