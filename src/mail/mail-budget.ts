import { canonicalEmail } from '../accounts/email.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { MailBudget } from './mail-budget.entity.ts';
import { type Allowance, mailBudgetsIn } from './mail-budget.repository.ts';

const PURPOSE = 'mail-budget';
const MINUTE_MS = 60_000;
const BURST = 5;

/**
 * What strangers can have mailed to an address: five mails of each kind, and then one for every so many
 * minutes. A link is valid for twice as long as that, so that whoever is not sent one has one that works.
 */
const ALLOWED: Record<MailBudget['kind'], Allowance> = {
  verify_email: { burst: BURST, everyMs: 5 * MINUTE_MS },
  change_email: { burst: BURST, everyMs: 5 * MINUTE_MS },
  reset_password: { burst: BURST, everyMs: 15 * MINUTE_MS },
  address_taken: { burst: BURST, everyMs: 60 * MINUTE_MS },
};

/**
 * Whether an address may be sent one more mail of a kind that anyone can ask for (C16), and if so counts
 * it. Whoever asked gets the same answer either way. In the transaction that sends the mail.
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
 * Gives an address its mails of a kind back: whoever has used the link of one reads them, and asked for
 * them.
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
