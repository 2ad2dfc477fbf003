import { canonicalEmail } from '../accounts/email.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { MailBudget } from './mail-budget.entity.ts';
import { type Allowance, mailBudgetsIn } from './mail-budget.repository.ts';

const PURPOSE = 'mail-budget';
const MINUTE_MS = 60_000;
const BURST = 5;

/**
 * How many mails strangers can have sent to an address: five of each kind, and then one every so many
 * minutes. A link is valid for twice that time, so anyone who is refused another mail has a link that
 * works.
 */
const ALLOWED: Record<MailBudget['kind'], Allowance> = {
  verify_email: { burst: BURST, everyMs: 5 * MINUTE_MS },
  change_email: { burst: BURST, everyMs: 5 * MINUTE_MS },
  reset_password: { burst: BURST, everyMs: 15 * MINUTE_MS },
  address_taken: { burst: BURST, everyMs: 60 * MINUTE_MS },
  notice: { burst: BURST, everyMs: 60 * MINUTE_MS },
};

/**
 * Returns whether an address may be sent one more mail of a kind that anyone can ask for (C16), and if
 * so counts it. The caller gets the same answer either way. Call it in the transaction that sends the
 * mail.
 */
export function mayMail(
  { em, now }: { em: EntityManager; now: Date },
  keyring: Keyring,
  kind: MailBudget['kind'],
  to: string,
): Promise<boolean> {
  const recipient = keyring.mac(PURPOSE, canonicalEmail(to));
  return mailBudgetsIn(em).spend({ recipient, kind }, ALLOWED[kind], now);
}

/**
 * Restores an address's budget for a kind of mail: someone who has used a link from one of them reads
 * them and asked for them.
 */
export async function restoreMail(
  { em }: { em: EntityManager },
  keyring: Keyring,
  kind: MailBudget['kind'],
  to: string,
): Promise<void> {
  const recipient = keyring.mac(PURPOSE, canonicalEmail(to));
  await mailBudgetsIn(em).nativeDelete({ recipient, kind });
}
