import { requireReach } from '../access/held-now.ts';
import { refuseLastAdmin } from '../access/last-admin.ts';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { User } from '../accounts/user.ts';
import { oneTimeTokensIn } from '../one-time-tokens/one-time-token.repository.ts';
import type { Caller } from '../platform/caller.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { showUser } from './get-user.ts';

/**
 * Blocks further sign-ins of a user. When it returns, the suspension is on record with its audit event
 * and revocations, this replica refuses the user's tokens, and the others do within a second (S09).
 * Idempotent.
 *
 * Throws `NOT_FOUND`, `LAST_ADMIN`, `PERMISSION_DENIED`.
 */
export function suspendUser(
  { database }: { database: Database },
  caller: Caller,
  { userId, reason }: { userId: string; reason: string },
): Promise<User> {
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockUser(userId);
    await requireReach(tx, 'users.write', account);
    if (account.state === 'suspended') await tx.repeatRevocation({ subject: account.id });
    else await suspend(tx, account, reason);
    return showUser(tx.em, account.id, tx.now);
  });
}

async function suspend(tx: Transaction, account: Account, reason: string): Promise<void> {
  await refuseLastAdmin(tx.em, account);
  const { id } = account;
  account.state = 'suspended';
  account.updatedAt = tx.now;
  // The reason is free text, which may name the person.
  const personal = reason === '' ? {} : { personal: { reason } };
  tx.audit({ type: 'account.suspended', subject: id, ...personal });
  await tx.em.flush();
  await oneTimeTokensIn(tx.em).voidSignInTokens(id, tx.now);
  const cause = 'user_suspended';
  await endSessions(tx, id, cause);
  // Also for tokens without a session, which API keys were exchanged for.
  await tx.revokeSubject(id, cause);
}
