import { Account } from '../accounts/account.entity.ts';
import type { SignInRecord } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import { PasswordCredential } from '../accounts/password-credential.entity.ts';
import type { PasswordHasher } from '../accounts/password-hasher.ts';
import type { AuditQueue } from '../audit/audit-queue.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database, EntityManager } from '../platform/database.ts';
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
  const { account, passwordHash, matches } = await deps.passwords.verify(
    () => find(deps, caller, request.email),
    request.password,
    caller.signal,
  );
  const failure = refusal(deps, account, matches);
  if (failure || !account) throw refuse(deps, caller, account?.id, failure);
  const tokens = await deps.database.transaction(
    (em) => open(em, deps, caller, account.id, passwordHash, request.deviceLabel),
    caller.signal,
  );
  if (!tokens) throw refuse(deps, caller, account.id);
  return tokens;
}

/**
 * Opens the session with what the account is at this moment, unless it was suspended or its password
 * changed while the presented one was being checked: whoever does that locks the account first.
 */
async function open(
  em: EntityManager,
  deps: LoginDeps,
  caller: Caller,
  accountId: string,
  passwordHash: string | undefined,
  deviceLabel: string,
): Promise<IssuedTokens | undefined> {
  const account = await em.getRepository(Account).lockLive({ id: accountId });
  const credential = await em.findOne(PasswordCredential, { account: accountId });
  if (account?.state !== 'active' || credential?.passwordHash !== passwordHash) return undefined;
  account.lastLoginAt = deps.clock.now();
  return openSession(em, deps, caller, { account, amr: ['pwd'], deviceLabel });
}

/** Notes a refused sign-in, off the path, and gives what the caller is told. */
function refuse(
  { auditQueue }: LoginDeps,
  caller: Caller,
  subject: string | undefined,
  failure = invalidCredentials(),
): Failure {
  const { reason } = failure;
  auditQueue.add(caller, { type: 'sign_in.failed', subject, outcome: 'failure', reason });
  return failure;
}

async function find({ database }: LoginDeps, caller: Caller, email: string) {
  const account = await database.read(
    (em) => em.getRepository(Account).findForSignIn(canonicalEmail(email)),
    caller.signal,
  );
  return { account, passwordHash: account?.passwordHash ?? undefined };
}

function refusal(
  { requireVerifiedEmail }: LoginDeps,
  account: SignInRecord | undefined,
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
