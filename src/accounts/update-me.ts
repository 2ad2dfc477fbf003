import { recordAudit } from '../audit/record.ts';
import type { Caller } from '../platform/caller.ts';
import { Failure } from '../platform/failure.ts';
import { accountsIn } from './account.repository.ts';
import type { GetMeDeps } from './get-me.ts';
import { readUser, type User } from './user.ts';

const EDITABLE: ReadonlySet<string> = new Set(['display_name', '*']);

export type UpdateMe = {
  displayName: string;
  /** Empty: no matter which version of the account is changed. */
  etag: string;
  /** Field names (AIP-134). Empty: what can be changed and is not empty. */
  mask: readonly string[];
};

/**
 * Changes the caller's profile. Two updates at once are made one after the other.
 *
 * Throws `INVALID_REQUEST` for a mask with other fields, `ETAG_MISMATCH` where the account has changed
 * since the etag was read.
 */
export async function updateMe(
  deps: GetMeDeps,
  caller: Caller,
  accountId: string,
  { displayName, etag, mask }: UpdateMe,
): Promise<User> {
  const wrong = mask.filter((name) => !EDITABLE.has(name));
  if (wrong.length > 0) throw notEditable(wrong);
  const isNamed = mask.length === 0 ? displayName !== '' : true;
  return deps.database.transaction(async (em) => {
    const account = await accountsIn(em).lockOwn(accountId);
    const now = deps.clock.now();
    const before = await readUser(em, accountId, now);
    if (etag !== '' && etag !== before.etag) throw etagMismatch();
    if (!isNamed || before.displayName === displayName) return before;
    account.displayName = displayName;
    account.updatedAt = now;
    recordAudit(em, deps, caller, {
      type: 'account.updated',
      actor: accountId,
      subject: accountId,
      details: { fields: ['display_name'] },
      personal: {
        before: { display_name: before.displayName },
        after: { display_name: displayName },
      },
    });
    await em.flush();
    return readUser(em, accountId, now);
  }, caller.signal);
}

export function notEditable(names: readonly string[]): Failure {
  const description = `names fields that can't be changed here: ${names.join(', ')}`;
  return new Failure('invalid', 'INVALID_REQUEST', `the update mask ${description}`, {
    fields: [{ path: 'update_mask', description }],
  });
}

export function etagMismatch(): Failure {
  const message = 'it has changed since it was read';
  return new Failure('aborted', 'ETAG_MISMATCH', message);
}
