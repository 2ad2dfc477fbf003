import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { OneTimeToken, type TokenPurpose } from './one-time-token.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

export class OneTimeTokenRepository extends Repository<OneTimeToken> {
  /** Makes the account's live tokens for a purpose void, as if they had been used. */
  async voidLive(account: string, purpose: TokenPurpose, now: Date): Promise<void> {
    await this.nativeUpdate({ account, purpose, usedAt: null }, { usedAt: now });
  }

  /** Makes every live token of the account void, except those of notices: they take it back. */
  async voidSignInTokens(account: string, now: Date): Promise<void> {
    await this.nativeUpdate(
      { account, usedAt: null, purpose: { $ne: 'secure_account' } },
      { usedAt: now },
    );
  }

  /** The same, and also those of notices that are newer than `since`. */
  async voidSince(account: string, since: Date, now: Date): Promise<void> {
    await this.voidSignInTokens(account, now);
    await this.nativeUpdate({ account, usedAt: null, createdAt: { $gt: since } }, { usedAt: now });
  }

  /** Uses a token up. Of several calls for one token, exactly one returns true. */
  async use(id: string, now: Date): Promise<boolean> {
    const used = await this.nativeUpdate(
      { id, usedAt: null, expiresAt: { $gt: now } },
      { usedAt: now },
    );
    return used === 1;
  }

  /** Deletes some of the tokens that expired before `limit`. Returns whether there may be more. */
  async forgetExpired(limit: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from mailed_tokens where id in
       (select id from mailed_tokens where expires_at < $1 limit ${BATCH}) returning 1`,
      [limit],
    );
    return gone.length === BATCH;
  }
}

/** The one-time tokens that a connection or a transaction sees. */
export function oneTimeTokensIn(em: EntityManager): OneTimeTokenRepository {
  return new OneTimeTokenRepository(em, OneTimeToken);
}
