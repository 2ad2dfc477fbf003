import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail } from './email.ts';

/**
 * Sets the address of an account that the transaction has locked. By default its owner has just proved
 * that it is theirs; with `verifiedAt` null they still have to. An unclaimed sign-up with this address
 * is deleted.
 *
 * Throws `EMAIL_TAKEN` if any other account has it.
 */
export async function takeAddress(
  { em, now }: Transaction,
  account: Account,
  email: string,
  verifiedAt: Date | null = now,
): Promise<void> {
  await freeAddress(em, email, account.id);
  account.email = email;
  account.canonicalEmail = canonicalEmail(email);
  account.emailVerifiedAt = verifiedAt;
  account.updatedAt = now;
  await flushAddress(em);
}

/**
 * Deletes an unclaimed sign-up that has this address. Throws `EMAIL_TAKEN` if any other account than
 * `accountId` has it.
 */
export async function freeAddress(
  em: EntityManager,
  email: string,
  accountId?: string,
): Promise<void> {
  const accounts = accountsIn(em);
  const holder = await accounts.lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!holder || holder.id === accountId) return;
  if (!holder.isUnclaimed) throw emailTaken();
  await accounts.nativeDelete({ id: holder.id });
}

/** Writes an account with a new address. Throws `EMAIL_TAKEN`. */
export async function flushAddress(em: EntityManager): Promise<void> {
  try {
    await em.flush();
  } catch (error) {
    // Someone has signed up with the address in this very moment.
    throw error instanceof UniqueConstraintViolationException ? emailTaken() : error;
  }
}

function emailTaken(): Failure {
  return new Failure('conflict', 'EMAIL_TAKEN', 'another account has this address already');
}
