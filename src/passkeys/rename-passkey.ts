import type { Caller } from '../platform/caller.ts';
import type { Database } from '../unit-of-work/database.ts';
import type { Passkey } from './passkey.entity.ts';
import { noSuchPasskey, passkeysIn } from './passkey.repository.ts';

/** Renames one of the caller's passkeys. Throws `NOT_FOUND`. */
export async function renamePasskey(
  { database }: { database: Database },
  caller: Caller,
  { passkeyId, displayName }: { passkeyId: string; displayName: string },
): Promise<Passkey> {
  return database.transaction(caller, async (tx) => {
    const passkey = await passkeysIn(tx.em).findOne({ id: passkeyId, account: caller.subject });
    if (!passkey) throw noSuchPasskey();
    if (passkey.displayName === displayName) return passkey;
    tx.audit({
      type: 'passkey.renamed',
      subject: caller.subject,
      details: { passkey_id: passkeyId },
      personal: {
        before: { display_name: passkey.displayName },
        after: { display_name: displayName },
      },
    });
    passkey.displayName = displayName;
    await tx.em.flush();
    return passkey;
  });
}
