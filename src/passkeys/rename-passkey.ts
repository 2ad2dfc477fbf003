import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { Passkey } from './passkey.entity.ts';

/** Gives one of the account's passkeys another name. Throws `NOT_FOUND`. */
export async function renamePasskey(
  deps: { database: SqlDatabase; clock: Clock },
  caller: Caller,
  accountId: string,
  { passkeyId, displayName }: { passkeyId: string; displayName: string },
): Promise<Passkey> {
  return deps.database.transaction(async (em) => {
    const passkey = await em.findOne(Passkey, { id: passkeyId, account: accountId });
    if (!passkey) throw noSuchPasskey();
    if (passkey.displayName === displayName) return passkey;
    recordAudit(em, deps, caller, {
      type: 'passkey.renamed',
      actor: accountId,
      subject: accountId,
      details: { passkey_id: passkeyId },
      personal: {
        before: { display_name: passkey.displayName },
        after: { display_name: displayName },
      },
    });
    passkey.displayName = displayName;
    await em.flush();
    return passkey;
  }, caller.signal);
}

export function noSuchPasskey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'the account has no such passkey');
}
