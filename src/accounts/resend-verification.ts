import { recordAudit } from '../audit/record.ts';
import type { Outbox } from '../mail/outbox.ts';
import type { Caller } from '../platform/caller.ts';
import type { Database, EntityManager } from '../platform/database.ts';
import { Account } from './account.entity.ts';
import { canonicalEmail } from './email.ts';
import { inEvenTime } from './even-time.ts';
import { issueOneTimeToken, type OneTimeTokenDeps } from './one-time-token.ts';

export type ResendVerificationDeps = OneTimeTokenDeps & { database: Database; outbox: Outbox };

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
  const account = await em
    .getRepository(Account)
    .lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!account || account.isVerified || account.state !== 'active') return;
  const event = { type: 'account.verification_requested', subject: account.id } as const;
  recordAudit(em, deps, caller, event);
  const { token } = await issueOneTimeToken(em, deps, account.id, 'verify_email');
  const { email: to, displayName } = account;
  await deps.outbox.send(em, { template: 'verify_email', to, displayName, token });
}
