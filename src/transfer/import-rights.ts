import { heldNow, requireAll } from '../access/held-now.ts';
import { USER_ROLE } from '../access/permissions.ts';
import { rolesIn } from '../access/role.repository.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';

const NEEDED = 'users.write';
const NEEDED_FOR_ROLES = 'roles.write';

/** What the caller of an import may do with each role, for the transaction that read it. */
export class ImportRights {
  /** Undefined for the operator, who may do everything. */
  readonly #held: ReadonlySet<string> | undefined;
  /** The permissions of the roles that exist. */
  readonly #roles: ReadonlyMap<string, readonly string[]>;

  constructor(
    held: ReadonlySet<string> | undefined,
    roles: ReadonlyMap<string, readonly string[]>,
  ) {
    this.#held = held;
    this.#roles = roles;
  }

  exists(role: string): boolean {
    return this.#roles.has(role);
  }

  /** The permission that the caller lacks to give someone these roles (A05), if any. */
  missingToGrant(roles: readonly string[]): string | undefined {
    const isMore = roles.some((role) => role !== USER_ROLE);
    if (isMore && this.#held && !this.#held.has(NEEDED_FOR_ROLES)) return NEEDED_FOR_ROLES;
    return this.missingToTouch(roles);
  }

  /** The permission that the caller lacks to change someone who has these roles, if any. */
  missingToTouch(roles: readonly string[]): string | undefined {
    const held = this.#held;
    if (!held) return undefined;
    return roles
      .flatMap((role) => this.#roles.get(role) ?? [])
      .find((permission) => !held.has(permission));
  }
}

/**
 * Reads what the caller may do now with the roles of these names, which stay as they are until the
 * transaction ends. An import may last longer than the rights that it began with: throws
 * `PERMISSION_DENIED`, and `TOKEN_REVOKED` if the session has ended.
 */
export async function importRights(
  { em, caller }: Transaction,
  names: readonly string[],
): Promise<ImportRights> {
  const roles = rolesIn(em);
  if (caller.kind === 'operator') {
    const existing = await roles.lockExisting(names);
    return new ImportRights(undefined, new Map(existing.map((name) => [name, []])));
  }
  const held = await heldNow(em, caller);
  requireAll(held, [NEEDED]);
  const permissions = new Map<string, readonly string[]>();
  for (const name of await roles.lockExisting(names)) {
    permissions.set(name, await roles.permissionsOf([name]));
  }
  return new ImportRights(held, permissions);
}
