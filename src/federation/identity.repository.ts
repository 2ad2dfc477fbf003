import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Identity } from './identity.entity.ts';

/** How many an account may have. */
export const MAX_IDENTITIES = 20;

type Name = { issuer: string; subject: string };

type NewIdentity = Name & {
  id: string;
  account: string;
  provider: string;
  email: string | null;
  createdAt: Date;
};

export class IdentityRepository extends Repository<Identity> {
  /** The account's identities, the oldest first. */
  listOf(account: string): Promise<Identity[]> {
    return this.find({ account }, { orderBy: { createdAt: 'asc', id: 'asc' } });
  }

  /** The id of the identity with this name, and of the account that it may sign in to, as they are now. */
  async findByName({ issuer, subject }: Name): Promise<{ id: string; owner: string } | undefined> {
    const rows = await this.query<{ id: string; owner: string }>(
      'select id, account_id as owner from identities where issuer = $1 and subject = $2',
      [issuer, subject],
    );
    return rows[0];
  }

  /** Stores a new identity, unless an account has it already. Returns whether it did. */
  async insertNew(identity: NewIdentity): Promise<boolean> {
    const { id, account, provider, issuer, subject, email, createdAt } = identity;
    const inserted = await this.query(
      `insert into identities (id, account_id, provider, issuer, subject, email, created_at)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict (issuer, subject) do nothing returning 1`,
      [id, account, provider, issuer, subject, email, createdAt],
    );
    return inserted.length === 1;
  }

  async noteUse(id: string, now: Date): Promise<void> {
    await this.nativeUpdate({ id }, { lastUsedAt: now });
  }
}

/** The identities that a connection or a transaction sees. */
export function identitiesIn(em: EntityManager): IdentityRepository {
  return new IdentityRepository(em, Identity);
}
