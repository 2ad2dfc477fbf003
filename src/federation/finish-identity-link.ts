import { accountsIn } from '../accounts/account.repository.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Log } from '../platform/log.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { type FinishedFlow, finishFlow, type ProviderAnswer } from './finish-flow.ts';
import type { Identity } from './identity.entity.ts';
import { identitiesIn, MAX_IDENTITIES } from './identity.repository.ts';
import { addIdentity, tellOwner } from './link-identity.ts';
import { invalidLoginToken } from './login-token.ts';
import type { Providers } from './providers.ts';

/**
 * Links the identity of the person who comes back from a provider to the caller's account, whatever its
 * address (F02), and tells the owner by mail (E06). Only the session that began the flow can finish it. An
 * identity that is linked to the account already stays as it is.
 *
 * Throws what `finishFlow` throws, `IDENTITY_TAKEN`, and `TOO_MANY` if the account has 20.
 */
export async function finishIdentityLink(
  needs: { database: Database; keyring: Keyring; clock: Clock; log: Log; providers: Providers },
  caller: Caller,
  answer: ProviderAnswer,
): Promise<Identity> {
  const finished = await finishFlow(needs, caller, 'link', answer, (flow) => {
    const isOwn = flow.accountId === caller.subject && flow.sessionId === caller.sessionId;
    if (!isOwn) throw invalidLoginToken();
  });
  return needs.database.transaction(caller, (tx) => link(tx, needs.keyring, finished));
}

async function link(
  tx: Transaction,
  keyring: Keyring,
  { settings, identity }: FinishedFlow,
): Promise<Identity> {
  const account = await accountsIn(tx.em).lockOwn(tx.caller);
  const identities = identitiesIn(tx.em);
  const known = await identities.findByName(identity);
  if (known?.owner === account.id) return identities.findOneOrFail(known.id);
  if (known) throw identityTaken();
  if ((await identities.count({ account: account.id })) >= MAX_IDENTITIES) throw tooMany();
  const id = await addIdentity(tx, account.id, settings, identity);
  if (id === undefined) throw identityTaken();
  await tellOwner(tx, keyring, account, settings, id);
  return identities.findOneOrFail(id);
}

function identityTaken(): Failure {
  return new Failure('conflict', 'IDENTITY_TAKEN', 'the identity is linked to another account');
}

function tooMany(): Failure {
  const message = `the account has ${MAX_IDENTITIES} identities, the most it may have; unlink one first`;
  return new Failure('precondition', 'TOO_MANY', message);
}
