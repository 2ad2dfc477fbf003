import { Account } from '../accounts/account.entity.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { PasswordCredential } from '../accounts/password-credential.entity.ts';
import type { PasswordHasher } from '../accounts/password-hasher.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../platform/database.ts';
import { Failure, type Reason } from '../platform/failure.ts';
import { type IssuedTokens, openSession, type SessionDeps } from '../sessions/open-session.ts';

export type LoginDeps = SessionDeps & {
  database: Database;
  passwords: PasswordHasher;
  auditQueue: AuditQueue;
  requireVerifiedEmail: boolean;
};

export type Login = { email: string; password: string; deviceLabel: string };

/**
 * Signs in by password and opens a session.
 *
 * A wrong password and an unknown address are refused alike, in the same time (C04). Only who knows
 * the password learns that the account is suspended or its address unverified. Refusals are audited
 * off the path, sign-ins in their own transaction.
 */
export async function login(
  deps: LoginDeps,
  caller: Caller,
  request: Login,
): Promise<IssuedTokens> {
  const { account, passwordHash } = await find(deps, caller, request.email);
  const matches = await deps.passwords.verify(passwordHash, request.password, caller.signal);
  const failure = refusal(deps, account, matches);
  if (failure || !account) {
    deps.auditQueue.add(caller, {
      type: 'sign_in.failed',
      subject: account?.id,
      outcome: 'failure',
      reason: failure?.reason ?? 'INVALID_CREDENTIALS',
    });
    throw failure ?? invalidCredentials();
  }
  return deps.database.transaction(async (em) => {
    const lastLoginAt = deps.clock.now();
    // Also takes the account's row, so that no session is opened beside a suspension.
    const active = await em.nativeUpdate(
      Account,
      { id: account.id, state: 'active' },
      { lastLoginAt },
    );
    if (active === 0) throw invalidCredentials();
    return openSession(em, deps, caller, {
      account,
      amr: ['pwd'],
      deviceLabel: request.deviceLabel,
    });
  }, caller.signal);
}

function find({ database }: LoginDeps, caller: Caller, email: string) {
  return database.read(async (em) => {
    const account = await em.getRepository(Account).findLive(canonicalEmail(email));
    const credential = await em.findOne(PasswordCredential, {
      account: account?.id ?? '00000000-0000-0000-0000-000000000000',
    });
    return { account, passwordHash: credential?.passwordHash };
  }, caller.signal);
}

function refusal(
  { requireVerifiedEmail }: LoginDeps,
  account: Account | null,
  matches: boolean,
): Failure | undefined {
  if (!account || !matches) return invalidCredentials();
  if (account.state === 'suspended') {
    return new Failure('denied', 'ACCOUNT_SUSPENDED', 'the account has been suspended');
  }
  if (requireVerifiedEmail && !account.isVerified) {
    const reason: Reason = 'EMAIL_NOT_VERIFIED';
    return new Failure('precondition', reason, 'the address has not been verified yet');
  }
  return undefined;
}

function invalidCredentials(): Failure {
  return new Failure(
    'unauthenticated',
    'INVALID_CREDENTIALS',
    'the address and the password do not belong together',
  );
}
