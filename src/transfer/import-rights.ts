import { type Actor, requireAll } from '../access/actor.ts';
import { heldNow } from '../access/held-now.ts';
import { USER_ROLE } from '../access/permissions.ts';
import { rolesIn } from '../access/role.repository.ts';
import { Failure } from '../platform/failure.ts';
import { type EntityManager, query } from '../platform/sql.ts';

/** Who imports: somebody in a session, or the operator at the command line, who may do everything. */
export type Importer = (Actor & { sessionId: string }) | undefined;

const NEEDED = 'users.write';
const NEEDED_FOR_ROLES = 'roles.write';

/** What whoever imports may do with each role, in the transaction that it was looked at in. */
export class ImportRights {
  readonly #held: ReadonlySet<string> | undefined;
  /** The permissions of the roles that there are. */
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

  /** The permission that is missing for giving somebody these roles (A05). */
  missingToGrant(roles: readonly string[]): string | undefined {
    const isMore = roles.some((role) => role !== USER_ROLE);
    if (isMore && this.#held && !this.#held.has(NEEDED_FOR_ROLES)) return NEEDED_FOR_ROLES;
    return this.missingToTouch(roles);
  }

  /** The permission that is missing for changing somebody who has these roles. */
  missingToTouch(roles: readonly string[]): string | undefined {
    const held = this.#held;
    if (!held) return undefined;
    return roles
      .flatMap((role) => this.#roles.get(role) ?? [])
      .find((permission) => !held.has(permission));
  }
}

/**
 * What an importer may do now, with the roles of these names, which stay as they are until the
 * transaction ends. Throws `PERMISSION_DENIED`, and `TOKEN_REVOKED` where the session has ended: an
 * import lasts, and what it was let in with may be gone.
 */
export async function importRights(
  em: EntityManager,
  importer: Importer,
  names: readonly string[],
): Promise<ImportRights> {
  if (importer) await requireSession(em, importer.sessionId);
  const held = importer && (await heldNow(em, importer));
  if (held) requireAll(held, [NEEDED]);
  const rows = await query<{ name: string }>(
    em,
    `select name from roles where name = any($1::text[]) and deleted_at is null
     order by name for share`,
    [names],
  );
  const roles = new Map<string, readonly string[]>();
  for (const { name } of rows) {
    roles.set(name, held ? await rolesIn(em).permissionsOf([name]) : []);
  }
  return new ImportRights(held, roles);
}

async function requireSession(em: EntityManager, sessionId: string): Promise<void> {
  const live = await query(em, 'select 1 from sessions where id = $1 and ended_at is null', [
    sessionId,
  ]);
  if (live.length > 0) return;
  throw new Failure('unauthenticated', 'TOKEN_REVOKED', 'the session has ended');
}
