import { accountsIn } from '../accounts/account.repository.ts';
import { sendNotice } from '../one-time-tokens/notices.ts';
import { requireOtherWayIn } from '../passwords/other-way-in.ts';
import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import type { Database } from '../unit-of-work/database.ts';
import { noSuchPasskey, passkeysIn } from './passkey.repository.ts';

/**
 * Deletes one of the caller's passkeys, and tells the owner by mail (E06). Of several calls for one
 * passkey, exactly one succeeds. Throws `NOT_FOUND`, and `LAST_CREDENTIAL` if there is no other way to sign in.
 */
export async function deletePasskey(
  {
    database,
    keyring,
    providers,
  }: { database: Database; keyring: Keyring; providers: { issuers(): readonly string[] } },
  caller: Caller,
  passkeyId: string,
): Promise<void> {
  await database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    const passkey = await passkeysIn(tx.em).findOne({ id: passkeyId, account: caller.subject });
    if (!passkey) throw noSuchPasskey();
    await requireOtherWayIn(tx.em, account.id, providers.issuers(), { passkey: passkeyId });
    tx.em.remove(passkey);
    tx.audit({
      type: 'passkey.removed',
      subject: account.id,
      details: { passkey_id: passkeyId },
    });
    const notice = { template: 'passkey_removed', passkeyName: passkey.displayName } as const;
    await sendNotice(tx, keyring, account, notice);
  });
}
