import { LockMode } from '@mikro-orm/core';
import { apiKeysIn } from '../api-keys/api-key.repository.ts';
import { type AuditEventRow, auditEventsIn } from '../audit/audit-event.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { sessionsIn } from '../sessions/session.repository.ts';
import { Account } from './account.entity.ts';
import { canonicalEmail } from './email.ts';

/** An account as a sign-in needs it. */
export type SignInAccount = {
  id: string;
  email: string;
  displayName: string;
  locale: string | null | undefined;
  state: string;
  isVerified: boolean;
  roles: string[];
  tokenVersion: number;
};

/** An account that somebody signs up for. */
export type NewAccount = {
  id: string;
  email: string;
  displayName: string;
  locale: string | null;
  passwordHash: string;
};

type Which = { canonicalEmail: string } | { id: string };

export class AccountRepository extends Repository<Account> {
  /** The account with this address, if there is one, and the hash of its password, in one statement. */
  async findForSignIn(
    canonicalEmail: string,
  ): Promise<{ id: string; passwordHash: string | null } | undefined> {
    const rows = await this.query<{ id: string; passwordHash: string | null }>(
      `select a.id, p.password_hash as "passwordHash"
       from accounts a left join password_credentials p on p.account_id = a.id
       where a.canonical_email = $1 and a.state <> 'deleted'`,
      [canonicalEmail],
    );
    return rows[0];
  }

  /** What a sign-in needs of a live account, which stays locked until the transaction ends. */
  async lockForSignIn(id: string): Promise<SignInAccount | undefined> {
    const rows = await this.query<SignInAccount>(
      `select id, email, display_name as "displayName", locale, state, roles,
         token_version as "tokenVersion", email_verified_at is not null as "isVerified"
       from accounts where id = $1 and state <> 'deleted' for update`,
      [id],
    );
    return rows[0];
  }

  /** The account with this address or id, if there is one that is not erased. */
  findLive(which: Which): Promise<Account | null> {
    return this.findOne({ ...which, state: { $ne: 'deleted' } });
  }

  /**
   * The same, locked until the transaction ends. Every change of an account's credentials or tokens
   * locks its row first, so that such changes come one after the other and never deadlock.
   */
  lockLive(which: Which): Promise<Account | null> {
    return this.findOne(
      { ...which, state: { $ne: 'deleted' } },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
  }

  /**
   * The caller's account, locked until the transaction ends. Throws `TOKEN_REVOKED` if it is gone, or if
   * the call's session or API key has ended: a replica may hear of that a second late, and a call may
   * have waited for this lock meanwhile. Nothing is added to an account that its owner has just secured
   * (C14).
   */
  async lockOwn({ subject, sessionId, apiKeyId }: Caller): Promise<Account> {
    const account = await this.lockLive({ id: subject });
    if (!account) throw accountGone();
    if (sessionId !== '') await sessionsIn(this.em).requireLive(sessionId);
    if (apiKeyId !== '') await apiKeysIn(this.em).requireLive(apiKeyId);
    return account;
  }

  /** The user that an administrator names, locked until the transaction ends. Throws `NOT_FOUND`. */
  async lockUser(userId: string): Promise<Account> {
    const account = await this.lockLive({ id: userId.toLowerCase() });
    if (!account) throw noSuchUser();
    return account;
  }

  /** The addresses and names of active people with a proved address who have one of these roles. */
  holding(
    roles: readonly string[],
    limit: number,
  ): Promise<Pick<Account, 'email' | 'displayName' | 'locale'>[]> {
    return this.query(
      `select email, display_name as "displayName", locale from accounts
       where roles && $1::text[] and state = 'active' and email_verified_at is not null
       order by id limit $2`,
      [roles, limit],
    );
  }

  /** Returns those of these ids that once led to a person and no longer do. */
  async goneAmong(ids: readonly string[]): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `select id from unnest($1::uuid[]) as given (id)
       where not exists (select from accounts a where a.id = given.id and a.state <> 'deleted')
         and not exists (select from service_accounts s where s.id = given.id)`,
      [ids],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Inserts an account that has to verify its address, with its first password and the event of that,
   * unless a live one has the address. Waits for anyone who is inserting one with the same address.
   * Returns whether it has been inserted.
   */
  async insertIfFree(
    { id, email, displayName, locale, passwordHash }: NewAccount,
    now: Date,
    event: AuditEventRow,
  ): Promise<boolean> {
    const parameters = [id, email, canonicalEmail(email), displayName, now, passwordHash, locale];
    const audit = auditEventsIn(this.em).insertStatement(event, parameters.length + 1, 'made');
    const rows = await this.query(
      `with made as (
         insert into accounts (id, email, canonical_email, display_name, state, roles, created_at,
           updated_at, sign_ups, locale)
         values ($1, $2, $3, $4, 'active', '{user}', $5, $5, 1, $7)
         on conflict (canonical_email) where state <> 'deleted' do nothing returning id
       ), known as (
         insert into password_credentials (account_id, password_hash, changed_at)
         select id, $6, $5 from made
       ), noted as (${audit.sql})
       select from made`,
      [...parameters, ...audit.parameters],
    );
    return rows.length > 0;
  }

  /**
   * Inserts an account whose address has been verified, without a password, and its event, unless a live one
   * has the address. Waits for anyone who is inserting one with the same address. Returns whether it has been
   * inserted.
   */
  async insertVerifiedIfFree(
    { id, email, displayName, locale }: Omit<NewAccount, 'passwordHash'>,
    now: Date,
    event: AuditEventRow,
  ): Promise<boolean> {
    const parameters = [id, email, canonicalEmail(email), displayName, now, locale];
    const audit = auditEventsIn(this.em).insertStatement(event, parameters.length + 1, 'made');
    const rows = await this.query(
      `with made as (
         insert into accounts (id, email, canonical_email, display_name, state, roles, created_at,
           updated_at, email_verified_at, locale)
         values ($1, $2, $3, $4, 'active', '{user}', $5, $5, $5, $6)
         on conflict (canonical_email) where state <> 'deleted' do nothing returning id
       ), noted as (${audit.sql})
       select from made`,
      [...parameters, ...audit.parameters],
    );
    return rows.length > 0;
  }
}

/** The accounts that a connection or a transaction sees. */
export function accountsIn(em: EntityManager): AccountRepository {
  return new AccountRepository(em, Account);
}

export function accountGone(): Failure {
  return new Failure('unauthenticated', 'TOKEN_REVOKED', 'the account no longer exists');
}

export function noSuchUser(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such user');
}
