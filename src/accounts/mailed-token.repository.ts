import { EntityRepository } from '@mikro-orm/core';
import type { MailedToken, MailedTokenPurpose } from './mailed-token.entity.ts';

export class MailedTokenRepository extends EntityRepository<MailedToken> {
  /** Makes the account's live token for a purpose void, as if it had been used. */
  async voidLive(account: string, purpose: MailedTokenPurpose, now: Date): Promise<void> {
    await this.nativeUpdate({ account, purpose, usedAt: null }, { usedAt: now });
  }

  /** Uses a token up. Of several calls for one token, exactly one gets true. */
  async use(id: string, now: Date): Promise<boolean> {
    const used = await this.nativeUpdate(
      { id, usedAt: null, expiresAt: { $gt: now } },
      { usedAt: now },
    );
    return used === 1;
  }
}
