import { v7 as uuidv7 } from 'uuid';
import type { Account } from '../accounts/account.entity.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { ExternalIdentity } from './external-identity.ts';
import { identitiesIn } from './identity.repository.ts';
import type { ProviderSettings } from './provider-settings.ts';

/**
 * Lets an identity sign in to an account that the transaction has locked. Returns its id; undefined if an
 * account has it by now.
 */
export async function addIdentity(
  tx: Transaction,
  account: string,
  { id: provider }: ProviderSettings,
  { issuer, subject, email }: ExternalIdentity,
): Promise<string | undefined> {
  const id = uuidv7();
  const name = { issuer, subject, email: email ?? null };
  const identity = { id, account, provider, ...name, createdAt: tx.now };
  if (!(await identitiesIn(tx.em).insertNew(identity))) return undefined;
  tx.audit({
    type: 'identity.linked',
    actor: account,
    subject: account,
    details: { identity_id: id, provider },
  });
  return id;
}

/** Tells an account's owner that an identity can sign in to it, and how to undo that (E06, C14). */
export async function tellOwner(
  tx: Transaction,
  keyring: Keyring,
  account: Account,
  { displayName: providerName }: ProviderSettings,
  identity: string,
): Promise<void> {
  const notice = { template: 'identity_linked', providerName } as const;
  await sendNotice(tx, keyring, account, notice, { undo: { identity } });
}
