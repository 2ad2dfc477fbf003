import { accountsIn } from '../accounts/account.repository.ts';
import { recordAudit } from '../audit/record.ts';
import { type NoticeDeps, sendNotice } from '../one-time-tokens/notices.ts';
import type { Caller } from '../platform/caller.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { Passkey } from './passkey.entity.ts';
import { noSuchPasskey } from './rename-passkey.ts';

export type DeletePasskeyDeps = NoticeDeps & { database: SqlDatabase };

/**
 * Forgets one of the account's passkeys, and tells the owner by mail (E06). Of several calls for one,
 * exactly one succeeds. Throws `NOT_FOUND`.
 */
export async function deletePasskey(
  deps: DeletePasskeyDeps,
  caller: Caller,
  accountId: string,
  passkeyId: string,
): Promise<void> {
  await deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockLive({ id: accountId });
    const passkey = await em.findOne(Passkey, { id: passkeyId, account: accountId });
    if (!account || !passkey) throw noSuchPasskey();
    em.remove(passkey);
    recordAudit(em, deps, caller, {
      type: 'passkey.removed',
      actor: accountId,
      subject: accountId,
      details: { passkey_id: passkeyId },
    });
    const notice = { template: 'passkey_removed', passkeyName: passkey.displayName } as const;
    await sendNotice(em, deps, account, notice);
  }, caller.signal);
  deps.outbox.wake();
}

/** Forgets a passkey of an account that the transaction has locked, if it is still there. */
export async function forgetPasskey(em: EntityManager, account: string, id: string): Promise<void> {
  await em.nativeDelete(Passkey, { id, account });
}
