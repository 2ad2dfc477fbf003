import type { Account } from '../accounts/account.entity.ts';
import { accountsIn } from '../accounts/account.repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { ServiceAccount } from '../service-accounts/service-account.entity.ts';
import { serviceAccountsIn } from '../service-accounts/service-account.repository.ts';

/** Names a user or service account, which have roles. */
export type HolderName = { kind: 'user' | 'service_account'; id: string };

/** Returns the holder, locked until the transaction ends. Throws `NOT_FOUND`. */
export function lockHolder(
  em: EntityManager,
  { kind, id }: HolderName,
): Promise<Account | ServiceAccount> {
  return kind === 'user' ? accountsIn(em).lockUser(id) : serviceAccountsIn(em).lock(id);
}
