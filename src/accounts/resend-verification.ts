import { recordAudit } from '../audit/record.ts';
import type { Outbox } from '../mail/outbox.ts';
import { issueOneTimeToken, type OneTimeTokenDeps } from '../one-time-tokens/one-time-token.ts';
import type { Caller } from '../platform/caller.ts';
import { inEvenTime } from '../platform/even-time.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail } from './email.ts';

export type ResendVerificationDeps = OneTimeTokenDeps & { database: SqlDatabase; outbox: Outbox };

/**
 * Mails a new verification link where the address belongs to an account that waits for one, and
 * does nothing otherwise. The caller can't tell which (C04). The link before becomes void (C06).
 */
export async function resendVerification(
  deps: ResendVerificationDeps,
  caller: Caller,
  email: string,
): Promise<void> {
  await inEvenTime(async () => {
    await deps.database.transaction((em) => sendAnother(em, deps, caller, email), caller.signal);
    deps.outbox.wake();
  }, caller.signal);
}

async function sendAnother(
  em: EntityManager,
  deps: ResendVerificationDeps,
  caller: Caller,
  email: string,
) {
  const account = await accountsIn(em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account || account.isVerified || account.state !== 'active') return;
  const event = { type: 'account.verification_requested', subject: account.id } as const;
  recordAudit(em, deps, caller, event);
  const { token } = await issueOneTimeToken(em, deps, account.id, 'verify_email');
  const { email: to, displayName } = account;
  await deps.outbox.send(em, { template: 'verify_email', to, displayName, token });
}
