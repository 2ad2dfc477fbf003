import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { requireOtherWayIn } from '../passwords/other-way-in.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import type { Database } from '../unit-of-work/database.ts';
import { identitiesIn } from './identity.repository.ts';
import type { Providers } from './providers.ts';

/**
 * Removes one of the identities of the caller's account, and tells the owner by mail (E06). Of several calls
 * for one identity, exactly one succeeds. Throws `NOT_FOUND`, and `LAST_CREDENTIAL` if there is no other way
 * to sign in: of calls that would each leave one way, one is refused.
 */
export async function unlinkIdentity(
  { database, keyring, providers }: { database: Database; keyring: Keyring; providers: Providers },
  caller: Caller,
  identityId: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    const identity = await identitiesIn(tx.em).findOne({ id: identityId, account: account.id });
    if (!identity) throw new Failure('not_found', 'NOT_FOUND', 'the account has no such identity');
    await requireOtherWayIn(tx.em, account.id, providers.issuers(), { identity: identityId });
    tx.em.remove(identity);
    const { provider } = identity;
    tx.audit({
      type: 'identity.unlinked',
      subject: account.id,
      details: { identity_id: identityId, provider },
    });
    const providerName = providers.find(provider)?.settings.displayName ?? provider;
    await sendNotice(tx, keyring, account, { template: 'identity_unlinked', providerName });
  });
}
