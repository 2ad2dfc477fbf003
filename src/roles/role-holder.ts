import type { Account } from '../accounts/account.entity.ts';
import { lockUser } from '../accounts/lock-user.ts';
import type { EntityManager } from '../platform/database.ts';
import { lockServiceAccount } from '../service-accounts/lock-service-account.ts';
import type { ServiceAccount } from '../service-accounts/service-account.entity.ts';

/** Who has roles. */
export type HolderName = { kind: 'user' | 'service_account'; id: string };

/** The holder, locked until the transaction ends. Throws `NOT_FOUND`. */
export function lockHolder(
  em: EntityManager,
  { kind, id }: HolderName,
): Promise<Account | ServiceAccount> {
  return kind === 'user' ? lockUser(em, id) : lockServiceAccount(em, id);
}
