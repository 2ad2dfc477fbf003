import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { OneTimeToken, type TokenPurpose, type Undo } from './one-time-token.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;

/** What orders the notices of an account: they are issued under its lock, one after the other. */
const TIME = 'coalesce(recorded_at, created_at)';

export class OneTimeTokenRepository extends Repository<OneTimeToken> {
  /**
   * Makes the account's live tokens for a purpose void, as if they had been used: all of them, or those
   * that were issued `before` then and expire by `until`.
   */
  async voidLive(
    account: string,
    purpose: TokenPurpose,
    now: Date,
    { before, until }: { before?: Date; until?: Date } = {},
  ): Promise<void> {
    const which = {
      ...(before && { createdAt: { $lt: before } }),
      ...(until && { expiresAt: { $lte: until } }),
    };
    await this.nativeUpdate({ account, purpose, usedAt: null, ...which }, { usedAt: now });
  }

  /** Makes every live token of the account void. */
  async voidAll(account: string, now: Date): Promise<void> {
    await this.nativeUpdate({ account, usedAt: null }, { usedAt: now });
  }

  /** Makes every live token of the account void, except those of notices: they take it back. */
  async voidSignInTokens(account: string, now: Date): Promise<void> {
    await this.nativeUpdate(
      { account, usedAt: null, purpose: { $ne: 'secure_account' } },
      { usedAt: now },
    );
  }

  /**
   * The same, and also those of the account's notices that are newer than this one. `kept` is an address
   * that the account still has to get back: notices that would give it back stay.
   */
  async voidSince(account: string, noticeId: string, now: Date, kept?: string): Promise<void> {
    await this.query(
      `update mailed_tokens set used_at = $3
       where account_id = $1 and used_at is null and (purpose <> 'secure_account'
         or ${TIME} > (select ${TIME} from mailed_tokens where id = $2)
         and details->'undo'->>'email' is distinct from $4)`,
      [account, noticeId, now, kept ?? ''],
    );
  }

  /**
   * What a notice and all newer ones of its account reported, the oldest change first, whether or not
   * they have been answered or are void.
   */
  async changesSince(account: string, noticeId: string): Promise<Undo[]> {
    const rows = await this.query<{ undo: string }>(
      `select details->>'undo' as undo from mailed_tokens
       where account_id = $1 and purpose = 'secure_account' and details->>'undo' is not null
         and ${TIME} >= (select ${TIME} from mailed_tokens where id = $2)
       order by ${TIME}`,
      [account, noticeId],
    );
    return rows.map(({ undo }) => JSON.parse(undo) as Undo);
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
