import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Account } from './account.entity.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail } from './email.ts';

/**
 * Gives an account, which the transaction has locked, an address that its owner has just proved; with
 * `verifiedAt` null, one that is still to be. A sign-up that nobody has proved gives way; another
 * account keeps it, and this throws `EMAIL_TAKEN`.
 */
export async function takeAddress(
  em: EntityManager,
  account: Account,
  email: string,
  now: Date,
  verifiedAt: Date | null = now,
): Promise<void> {
  await freeAddress(em, email, account.id);
  account.email = email;
  account.canonicalEmail = canonicalEmail(email);
  account.emailVerifiedAt = verifiedAt;
  account.updatedAt = now;
  await flushAddress(em);
}

/** Has a sign-up that nobody has proved give way. Throws `EMAIL_TAKEN` for any other account. */
export async function freeAddress(
  em: EntityManager,
  email: string,
  accountId?: string,
): Promise<void> {
  const holder = await accountsIn(em).lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!holder || holder.id === accountId) return;
  if (!holder.isUnclaimed) throw emailTaken();
  await em.nativeDelete(Account, { id: holder.id });
}

/** Writes an account with a new address. Throws `EMAIL_TAKEN`. */
export async function flushAddress(em: EntityManager): Promise<void> {
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
