import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { erasePersonalData } from '../audit/erase-personal-data.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { Account } from './account.entity.ts';
import { accountsIn } from './account.repository.ts';
import { canonicalEmail, parkedEmail } from './email.ts';

/**
 * Sets the address of an account that the transaction has locked. By default its owner has just proved
 * that it is theirs; with `verifiedAt` null they still have to. An unclaimed sign-up with this address
 * is deleted.
 *
 * Throws `EMAIL_TAKEN` if any other account has it.
 */
export async function takeAddress(
  tx: Transaction,
  account: Account,
  email: string,
  verifiedAt: Date | null = tx.now,
): Promise<void> {
  const { em, now } = tx;
  await freeAddress(tx, email, account.id);
  account.email = email;
  account.canonicalEmail = canonicalEmail(email);
  if (verifiedAt === null) account.unverify();
  else account.emailVerifiedAt = verifiedAt;
  account.updatedAt = now;
  await flushAddress(em);
}

/**
 * Sets the address of an account that the transaction has locked to one that another account has: mail
 * about the account goes there, but nobody can sign in to it by address or be mailed a link to do so,
 * until `takeAddress` sets this address or another one.
 */
export async function parkAddress(
  { em, now }: Transaction,
  account: Account,
  email: string,
): Promise<void> {
  account.email = email;
  account.canonicalEmail = parkedEmail(email, account.id);
  account.unverify();
  account.updatedAt = now;
  await em.flush();
}

/**
 * Deletes an unclaimed sign-up that has this address, and what the audit trail holds about its person,
 * unless someone gave it a role. Throws `EMAIL_TAKEN` if any account other than `accountId` has it.
 */
export async function freeAddress(
  tx: Transaction,
  email: string,
  accountId?: string,
): Promise<void> {
  const { em } = tx;
  const accounts = accountsIn(em);
  const holder = await accounts.lockLive({ canonicalEmail: canonicalEmail(email) });
  if (!holder || holder.id === accountId) return;
  if (!holder.isDisposable) throw emailTaken();
  await accounts.nativeDelete({ id: holder.id });
  await eraseRemoved(tx, holder.id);
}

/** Records in the audit trail that such a sign-up was removed, and nothing else about its person. */
export async function eraseRemoved(tx: Transaction, accountId: string): Promise<void> {
  await tx.auditAll([{ type: 'account.deleted', subject: accountId }]);
  await erasePersonalData(tx.em, accountId, tx.now);
}

/** Writes an account with a new address. Throws `EMAIL_TAKEN`. */
export async function flushAddress(em: EntityManager): Promise<void> {
  try {
    await em.flush();
  } catch (error) {
    // Someone has signed up with the address at this very moment.
    throw error instanceof UniqueConstraintViolationException ? emailTaken() : error;
  }
}

/** Whether a change failed because another account has the address. */
export function isEmailTaken(error: unknown): boolean {
  return error instanceof Failure && error.reason === 'EMAIL_TAKEN';
}

export function emailTaken(): Failure {
  return new Failure('conflict', 'EMAIL_TAKEN', 'another account has this address already');
}
