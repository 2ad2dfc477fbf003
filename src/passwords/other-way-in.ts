import { identitiesIn } from '../federation/identity.repository.ts';
import { passkeysIn } from '../passkeys/passkey.repository.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import { passwordsIn } from './password-credential.repository.ts';

/** What is about to be taken away. */
type Removed = { passkey?: string; identity?: string };

/**
 * Throws `LAST_CREDENTIAL` if an account, which the transaction has locked, could not be signed in to without
 * this credential. Second factors don't sign in alone, and identities count only if their issuer is one of
 * those that are configured.
 */
export async function requireOtherWayIn(
  em: EntityManager,
  account: string,
  issuers: readonly string[],
  { passkey, identity }: Removed,
): Promise<void> {
  const isOther = (id: string | undefined) => (id === undefined ? {} : { id: { $ne: id } });
  if ((await passwordsIn(em).hashOf(account)) !== undefined) return;
  if ((await passkeysIn(em).count({ account, ...isOther(passkey) })) > 0) return;
  const identities = { account, issuer: { $in: [...issuers] }, ...isOther(identity) };
  if ((await identitiesIn(em).count(identities)) > 0) return;
  throw new Failure(
    'precondition',
    'LAST_CREDENTIAL',
    'there is no other way to sign in to the account; set a password or add another way first',
  );
}
