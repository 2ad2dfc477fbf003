import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database } from '../platform/database.ts';
import { Account } from './account.entity.ts';
import { consumeMailedToken, type MailedTokenDeps } from './mailed-token.ts';

export type VerifyEmailDeps = MailedTokenDeps & { database: Database };

/** Marks an account's address as verified, by the token mailed to it. The token works once (C06). */
export async function verifyEmail(
  deps: VerifyEmailDeps,
  caller: Caller,
  token: string,
): Promise<void> {
  await deps.database.transaction(async (em) => {
    const accountId = await consumeMailedToken(em, deps, token, 'verify_email');
    const account = await em.findOneOrFail(Account, { id: accountId });
    account.emailVerifiedAt ??= deps.clock.now();
    account.updatedAt = deps.clock.now();
    recordAudit(em, deps, caller, {
      type: 'account.email_verified',
      actor: accountId,
      subject: accountId,
    });
  }, caller.signal);
}
