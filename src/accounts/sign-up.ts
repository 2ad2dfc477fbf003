import { v7 as uuidv7 } from 'uuid';
import { recordAudit } from '../audit/record.ts';
import type { Outbox } from '../mail/outbox.ts';
import { issueOneTimeToken } from '../one-time-tokens/one-time-token.ts';
import { PasswordCredential } from '../passwords/password-credential.entity.ts';
import type { PasswordHasher } from '../passwords/password-hasher.ts';
import type { PasswordPolicy } from '../passwords/password-policy.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { inEvenTime } from '../platform/even-time.ts';
import { unavailable } from '../platform/failure.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { Account } from './account.entity.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail, checkEmail } from './email.ts';

export type SignUpDeps = {
  database: SqlDatabase;
  clock: Clock;
  keyring: Keyring;
  passwords: PasswordHasher;
  passwordPolicy: PasswordPolicy;
  outbox: Outbox;
};

export type SignUp = { email: string; password: string; displayName: string };

/**
 * Creates an account that waits for its address to be verified, and mails the link for that.
 *
 * Says nothing about whether the address is taken (C04): the password is hashed and a mail is sent
 * in every case, in even time. An account in use is left alone; an unclaimed one takes the new password and name,
 * so that who gets the mail confirms what they themselves typed, not what a stranger typed
 * before them.
 */
export async function signUp(deps: SignUpDeps, caller: Caller, request: SignUp): Promise<void> {
  checkEmail(request.email, 'email');
  const ownWords = [request.email, request.displayName];
  const { signal } = caller;
  await deps.passwordPolicy.check(request.password, { field: 'password', ownWords, signal });
  const passwordHash = await deps.passwords.hash(request.password, signal);
  await inEvenTime(async () => {
    await deps.database.transaction(
      (em) => createOrTell(em, deps, caller, request, passwordHash),
      caller.signal,
    );
    deps.outbox.wake();
  }, caller.signal);
}

async function createOrTell(
  em: EntityManager,
  deps: SignUpDeps,
  caller: Caller,
  request: SignUp,
  passwordHash: string,
): Promise<void> {
  await insertAccount(em, deps.clock.now(), request);
  const account = await accountsIn(em).lockLive({ canonicalEmail: canonicalEmail(request.email) });
  if (!account) throw unavailable('the address');
  if (account.isUnclaimed) return setUp(em, deps, caller, account, request, passwordHash);
  const { email: to, displayName } = account;
  await deps.outbox.send(em, { template: 'address_taken', to, displayName });
}

/** Inserts the account where no live one has the address. Waits for who is doing that just now. */
async function insertAccount(em: EntityManager, now: Date, request: SignUp): Promise<void> {
  await query(
    em,
    `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
     values ($1, $2, $3, $4, 'active', '{user}', $5, $5)
     on conflict (canonical_email) where state <> 'deleted' do nothing`,
    [uuidv7(), request.email, canonicalEmail(request.email), request.displayName, now],
  );
}

async function setUp(
  em: EntityManager,
  deps: SignUpDeps,
  caller: Caller,
  account: Account,
  request: SignUp,
  passwordHash: string,
): Promise<void> {
  const now = deps.clock.now();
  account.email = request.email;
  account.displayName = request.displayName;
  account.updatedAt = now;
  await em.upsert(PasswordCredential, { account: account.id, passwordHash, changedAt: now });
  recordAudit(em, deps, caller, {
    type: 'account.created',
    actor: account.id,
    subject: account.id,
  });
  const { token } = await issueOneTimeToken(em, deps, account.id, 'verify_email');
  await deps.outbox.send(em, {
    template: 'verify_email',
    to: account.email,
    displayName: account.displayName,
    token,
  });
}
