import { v7 as uuidv7 } from 'uuid';
import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import { canonicalEmail } from '../accounts/email.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import { dropUnproved } from '../passwords/drop-unproved.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure, unavailable } from '../platform/failure.ts';
import { localeOf } from '../texts/languages.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import type { ExternalIdentity } from './external-identity.ts';
import { identitiesIn } from './identity.repository.ts';
import { addIdentity, tellOwner } from './link-identity.ts';
import type { ProviderSettings } from './provider-settings.ts';

type Needs = { keyring: Keyring; apiKeyMemory: ApiKeyMemory };

/** The account that an identity signs in to, locked; or why there is none, and whose it would be. */
type Found = { account: Account } | { failure: Failure; accountId?: string };

/**
 * Finds or makes the account of an identity (F02). A known identity decides alone: the address that comes
 * with it is never followed. One that is unknown, with an address that its provider has not verified, is
 * refused before anybody looks for the address, so that the answer is the same whether or not there is an
 * account (C04). Otherwise its address decides:
 *
 * - no account: a new one, if the provider may sign people up;
 * - an account that was signed up for, and neither verified nor used: it becomes this person's, without
 *   anything that it held (C15);
 * - a verified account, if the operator allows it and the provider itself answers for the address: the
 *   identity is linked to it, and its owner is told how to undo that;
 * - any other account: its owner has to link the identity.
 *
 * Failures: `FEDERATED_EMAIL_UNVERIFIED`, `SIGN_UP_DISABLED`, `IDENTITY_LINK_REQUIRED`, `ACCOUNT_SUSPENDED`.
 */
export async function accountOf(
  tx: Transaction,
  needs: Needs,
  settings: ProviderSettings,
  external: ExternalIdentity,
): Promise<Found> {
  const known = await lockKnown(tx, external);
  if (known) return { account: known };
  const { email } = external;
  if (email === undefined || !external.isVerified) return { failure: emailUnverified() };
  const accounts = accountsIn(tx.em);
  const which = { canonicalEmail: canonicalEmail(email) };
  const holder = await accounts.lockLive(which);
  if (holder) return claim(tx, needs, settings, { ...external, email }, holder);
  if (!settings.signUp) return { failure: signUpDisabled() };
  const created = await signUp(tx, settings, { ...external, email });
  if (created) return { account: created };
  // Someone has signed up with the address at this very moment, perhaps the same person twice.
  const same = await lockKnown(tx, external);
  if (same) return { account: same };
  const other = await accounts.lockLive(which);
  if (!other) throw unavailable('the address');
  return claim(tx, needs, settings, { ...external, email }, other);
}

async function lockKnown(
  tx: Transaction,
  external: ExternalIdentity,
): Promise<Account | undefined> {
  const identities = identitiesIn(tx.em);
  const found = await identities.findByName(external);
  const account = found && (await accountsIn(tx.em).lockLive({ id: found.owner }));
  // It may have been unlinked before the account was locked.
  const still = account && (await identities.findByName(external));
  if (!account || still?.owner !== account.id) return undefined;
  await identities.noteUse(still.id, tx.now);
  return account;
}

async function signUp(
  tx: Transaction,
  settings: ProviderSettings,
  external: ExternalIdentity & { email: string },
): Promise<Account | undefined> {
  const { email, displayName } = external;
  const accounts = accountsIn(tx.em);
  const id = uuidv7();
  const event = tx.auditEvent({ type: 'account.created', actor: id, subject: id });
  const locale = localeOf(tx.caller.languages);
  const added = { id, email, displayName, locale };
  if (!(await accounts.insertVerifiedIfFree(added, tx.now, event))) return undefined;
  const account = await accounts.lockLive({ id });
  if (!account || !(await addIdentity(tx, account.id, settings, external))) {
    throw unavailable('the identity');
  }
  return account;
}

async function claim(
  tx: Transaction,
  needs: Needs,
  settings: ProviderSettings,
  external: ExternalIdentity & { email: string },
  account: Account,
): Promise<Found> {
  const { id: accountId } = account;
  if (account.state === 'suspended') return { failure: suspended(), accountId };
  if (account.isUnclaimed) {
    if (!settings.signUp) return { failure: signUpDisabled(), accountId };
    await replace(tx, needs, settings, external, account);
    return { account };
  }
  const mayLink = settings.autoLink && external.isAuthoritative && account.isVerified;
  if (!mayLink) return { failure: linkRequired(), accountId };
  const identityId = await addIdentity(tx, accountId, settings, external);
  if (identityId === undefined) return { failure: linkRequired(), accountId };
  await tellOwner(tx, needs.keyring, account, settings, identityId);
  return { account };
}

/** Gives a sign-up that nobody has proved or used to the person who has its address. */
async function replace(
  tx: Transaction,
  { apiKeyMemory }: Needs,
  settings: ProviderSettings,
  external: ExternalIdentity & { email: string },
  account: Account,
): Promise<void> {
  const dropped = await dropUnproved(tx, apiKeyMemory, account);
  account.email = external.email;
  account.displayName = external.displayName;
  account.locale = localeOf(tx.caller.languages);
  account.emailVerifiedAt = tx.now;
  account.updatedAt = tx.now;
  const event = { actor: account.id, subject: account.id };
  tx.audit({ type: 'account.created', ...event, details: { dropped } });
  if ((await addIdentity(tx, account.id, settings, external)) === undefined) {
    throw unavailable('the identity');
  }
}

function emailUnverified(): Failure {
  return new Failure(
    'precondition',
    'FEDERATED_EMAIL_UNVERIFIED',
    'the provider gives no address that it has verified; sign in another way, and link this identity then',
  );
}

function linkRequired(): Failure {
  return new Failure(
    'precondition',
    'IDENTITY_LINK_REQUIRED',
    'an account has this address already; sign in to it as before, and link this identity then',
  );
}

function signUpDisabled(): Failure {
  return new Failure('denied', 'SIGN_UP_DISABLED', 'nobody can sign up with this provider');
}

function suspended(): Failure {
  return new Failure('denied', 'ACCOUNT_SUSPENDED', 'the account has been suspended');
}
