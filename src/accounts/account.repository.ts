import { EntityRepository, LockMode } from '@mikro-orm/core';
import { type EntityManager, query } from '../platform/database.ts';
import type { Account } from './account.entity.ts';

/** What a sign-in by password is judged by. */
export type SignInRecord = {
  id: string;
  state: 'active' | 'suspended';
  isVerified: boolean;
  passwordHash: string | null;
};

export class AccountRepository extends EntityRepository<Account> {
  /** The account that holds this canonical address now, if any, with its password; in one statement. */
  async findForSignIn(canonicalEmail: string): Promise<SignInRecord | undefined> {
    const rows = await query<SignInRecord>(
      this.getEntityManager() as unknown as EntityManager,
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
}
