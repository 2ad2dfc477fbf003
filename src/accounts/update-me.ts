import type { Caller } from '../platform/caller.ts';
import { fieldsToUpdate, requireEtag } from '../platform/update.ts';
import type { Database } from '../unit-of-work/database.ts';
import { accountsIn } from './account.repository.ts';
import { readUser, type User } from './user.ts';

export type UpdateMe = {
  displayName: string;
  locale: string;
  /** Empty: whichever version of the account is the present one. */
  etag: string;
  /** Field names (AIP-134). Empty: every field that can be changed and is not empty. */
  mask: readonly string[];
};

const PROPERTIES = { display_name: 'displayName', locale: 'locale' } as const;
const FIELDS = ['display_name', 'locale'] as const;

type Field = keyof typeof PROPERTIES;
type Profile = Pick<User, (typeof PROPERTIES)[Field]>;

/**
 * Changes the caller's profile. Of two updates at once, the second waits for the first.
 *
 * Throws `INVALID_REQUEST` for a mask with other fields, and `ETAG_MISMATCH` if the account has changed
 * since the etag was read.
 */
export async function updateMe(
  { database }: { database: Database },
  caller: Caller,
  { etag, mask, ...given }: UpdateMe,
): Promise<User> {
  const fields = fieldsToUpdate(mask, FIELDS, (name) => given[PROPERTIES[name]] !== '');
  return database.transaction(caller, async (tx) => {
    const account = await accountsIn(tx.em).lockOwn(caller);
    const before = await readUser(tx.em, account.id, tx.now);
    requireEtag(etag, before.etag);
    const changed = fields.filter((name) => before[PROPERTIES[name]] !== given[PROPERTIES[name]]);
    if (changed.length === 0) return before;
    const after = { ...before, ...pick(changed, given) };
    account.displayName = after.displayName;
    account.locale = after.locale || null;
    account.updatedAt = tx.now;
    tx.audit({
      type: 'account.updated',
      subject: account.id,
      details: { fields: changed },
      personal: {
        before: byName(changed, before),
        after: byName(changed, after),
      },
    });
    await tx.em.flush();
    return readUser(tx.em, account.id, tx.now);
  });
}

/** The values of some fields, by their properties. */
function pick(fields: readonly Field[], profile: Profile): Partial<Profile> {
  return Object.fromEntries(fields.map((name) => [PROPERTIES[name], profile[PROPERTIES[name]]]));
}

/** The same by their names. */
function byName(fields: readonly Field[], profile: Profile): Record<string, string> {
  return Object.fromEntries(fields.map((name) => [name, profile[PROPERTIES[name]]]));
}
