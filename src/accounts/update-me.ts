import type { Caller } from '../platform/caller.ts';
import { fieldsToUpdate, requireEtag } from '../platform/update.ts';
import type { Database } from '../unit-of-work/database.ts';
import { accountsIn } from './account.repository.ts';
import { readUser, type User } from './user.ts';

export type UpdateMe = {
  displayName: string;
  /** Empty: whichever version of the account is the present one. */
  etag: string;
  /** Field names (AIP-134). Empty: every field that can be changed and is not empty. */
  mask: readonly string[];
};

/**
 * Changes the caller's profile. Of two updates at once, the second waits for the first.
 *
 * Throws `INVALID_REQUEST` for a mask with other fields, and `ETAG_MISMATCH` if the account has changed
 * since the etag was read.
 */
export async function updateMe(
  { database }: { database: Database },
  caller: Caller,
  { displayName, etag, mask }: UpdateMe,
): Promise<User> {
  const [field] = fieldsToUpdate(mask, ['display_name'], () => displayName !== '');
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    const before = await readUser(tx.em, account.id, tx.now);
    requireEtag(etag, before.etag);
    if (!field || before.displayName === displayName) return before;
    account.displayName = displayName;
    account.updatedAt = tx.now;
    tx.audit({
      type: 'account.updated',
      subject: account.id,
      details: { fields: [field] },
      personal: {
        before: { display_name: before.displayName },
        after: { display_name: displayName },
      },
    });
    await tx.em.flush();
    return readUser(tx.em, account.id, tx.now);
  });
}
