import type { Caller } from '../platform/caller.ts';
import type { Database } from '../platform/database.ts';
import { Failure } from '../platform/failure.ts';
import { Passkey } from './passkey.entity.ts';

/** Gives one of the account's passkeys another name. Throws `NOT_FOUND`. */
export async function renamePasskey(
  { database }: { database: Database },
  caller: Caller,
  accountId: string,
  { passkeyId, displayName }: { passkeyId: string; displayName: string },
): Promise<Passkey> {
  return database.transaction(async (em) => {
    const passkey = await em.findOne(Passkey, { id: passkeyId, account: accountId });
    if (!passkey) throw noSuchPasskey();
    passkey.displayName = displayName;
    await em.flush();
    return passkey;
  }, caller.signal);
}

export function noSuchPasskey(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'the account has no such passkey');
}
