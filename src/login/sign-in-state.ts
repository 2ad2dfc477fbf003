import { isIPv4 } from 'node:net';
import { accountsIn, type SignInAccount } from '../accounts/account.repository.ts';
import type { LockState } from '../passwords/sign-in-lock.repository.ts';
import { networkOf } from '../platform/net.ts';
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
  hasSignedIn: boolean;
  /** Where sessions of the same program and label were opened. */
  addresses: string[];
};

export type Device = { deviceLabel: string; userAgent: string; ipAddress: string };

/** Of sessions that someone else may have opened. */
const DISOWNED = "'account_secured', 'address_proved', 'refresh_token_reused', 'session_revoked'";

/**
 * Locks a live account until the transaction ends, and reads what decides about its sign-in. That takes
 * two statements: one that waits for a lock sees the joined tables as they were before it waited.
 *
 * A device is new unless a session of the same program and label was opened in the same network before,
 * and was not ended as someone else's: anyone can claim any program and label. At the very first sign-in
 * no device is new.
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
       t.confirmed_at is not null as "hasTotp", a.last_login_at is not null as "hasSignedIn",
       array(select distinct s.ip_address from sessions s
             where s.account_id = a.id and s.user_agent = $2 and s.device_label = $3
               and (s.end_cause is null or s.end_cause not in (${DISOWNED}))) as addresses
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
    isNewDevice: row?.hasSignedIn === true && !row.addresses.some(isNear(device.ipAddress)),
  };
}

/** Whether another address is in the same network, an IPv4 /24 or an IPv6 /64. */
function isNear(address: string): (other: string) => boolean {
  const network = placeOf(address);
  return (other) => placeOf(other) === network;
}

function placeOf(address: string): string {
  return isIPv4(address) ? address.replace(/\.\d+$/, '') : networkOf(address);
}
