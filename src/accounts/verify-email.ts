import { recordAudit } from '../audit/record.ts';
import { consumeOneTimeToken, type OneTimeTokenDeps } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';

export type VerifyEmailDeps = OneTimeTokenDeps & { database: SqlDatabase };

/** Marks an account's address as verified, by the token mailed to it. The token works once (C06). */
export async function verifyEmail(
  deps: VerifyEmailDeps,
  caller: Caller,
  token: string,
): Promise<void> {
  await deps.database.transaction(async (em) => {
    const { account } = await consumeOneTimeToken(em, deps, token, 'verify_email');
    account.emailVerifiedAt ??= deps.clock.now();
    account.updatedAt = deps.clock.now();
    recordAudit(em, deps, caller, {
      type: 'account.email_verified',
      actor: account.id,
      subject: account.id,
    });
  }, caller.signal);
}
