import { type Actor, requireAll } from '../access/actor.ts';
import { heldNow } from '../access/held-now.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { mailReset } from '../passwords/request-password-reset.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import { USERS_WRITE, type UserDeps } from './user-deps.ts';

/**
 * Mails a user a link to set a new password, which only the user gets to see (C08). The link before
 * becomes void.
 *
 * Throws `NOT_FOUND`, `ACCOUNT_SUSPENDED`.
 */
export async function sendPasswordReset(
  deps: UserDeps,
  caller: Caller,
  actor: Actor,
  userId: string,
): Promise<void> {
  await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockUser(userId);
    requireAll(await heldNow(em, actor), [USERS_WRITE]);
    if (account.state !== 'active') {
      const message = 'the user is suspended; reinstate them first';
      throw new Failure('precondition', 'ACCOUNT_SUSPENDED', message);
    }
    recordAudit(em, deps, caller, {
      type: 'account.password_reset_sent',
      actor: actor.id,
      subject: account.id,
    });
    await mailReset(em, deps, account);
  }, caller.signal);
  deps.outbox.wake();
}
