import { LockMode } from '@mikro-orm/core';
import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Account } from './account.entity.ts';

/** What a sign-in by password is judged by. */
export type SignInRecord = {
  id: string;
  state: 'active' | 'suspended';
  isVerified: boolean;
  passwordHash: string | null;
};

export class AccountRepository extends Repository<Account> {
  /** The account that holds this canonical address now, if any, with its password; in one statement. */
  async findForSignIn(canonicalEmail: string): Promise<SignInRecord | undefined> {
    const rows = await this.query<SignInRecord>(
      `select a.id, a.state, a.email_verified_at is not null as "isVerified",
         p.password_hash as "passwordHash"
       from accounts a left join password_credentials p on p.account_id = a.id
       where a.canonical_email = $1 and a.state <> 'deleted'`,
      [canonicalEmail],
    );
    return rows[0];
  }

  /**
   * The account that holds this address or id now, if any, locked until the transaction ends.
   * Whoever changes an account's credentials or tokens locks its row first, so that nobody else does
   * beside them, and nobody waits in a circle.
   */
  lockLive(where: { canonicalEmail: string } | { id: string }): Promise<Account | null> {
    return this.findOne(
      { ...where, state: { $ne: 'deleted' } },
      { lockMode: LockMode.PESSIMISTIC_WRITE },
    );
  }

  /** The caller's own account, locked until the transaction ends. Throws `TOKEN_REVOKED` once it is gone. */
  async lockOwn(accountId: string): Promise<Account> {
    const account = await this.lockLive({ id: accountId });
    if (!account) throw accountGone();
    return account;
  }

  /** The user that an administrator names, locked until the transaction ends. Throws `NOT_FOUND`. */
  async lockUser(userId: string): Promise<Account> {
    const account = await this.lockLive({ id: userId.toLowerCase() });
    if (!account) throw noSuchUser();
    return account;
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
