import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { Account } from '../accounts/account.entity.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { EntityManager } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';

/**
 * Gives an account, which the transaction has locked, an address that its owner has just proved. A
 * sign-up that nobody has proved gives way; another account keeps it, and this throws `EMAIL_TAKEN`.
 */
export async function takeAddress(
  em: EntityManager,
  account: Account,
  email: string,
  now: Date,
): Promise<void> {
  const canonical = canonicalEmail(email);
  const holder = await em.getRepository(Account).lockLive({ canonicalEmail: canonical });
  if (holder && holder.id !== account.id) {
    if (!holder.isUnclaimed) throw emailTaken();
    await em.nativeDelete(Account, { id: holder.id });
  }
  account.email = email;
  account.canonicalEmail = canonical;
  account.emailVerifiedAt = now;
  account.updatedAt = now;
  try {
    await em.flush();
  } catch (error) {
    // Somebody signed up with it in this moment.
    throw error instanceof UniqueConstraintViolationException ? emailTaken() : error;
  }
}

function emailTaken(): Failure {
  return new Failure('conflict', 'EMAIL_TAKEN', 'another account has the address now');
}
