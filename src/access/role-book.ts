import type { Clock } from '../platform/clock.ts';
import { FollowedTable, type FollowedTableDeps } from '../platform/followed-table.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { type RoleRow, rolesIn } from './role.repository.ts';

/** This replica's memory of what each role allows, in step with the table (S09). */
export class RoleBook extends FollowedTable {
  /** Differs after every change of a role, for code that keeps what follows from the roles. */
  version = 0;
  /** Called when it has changed. */
  readonly followers = new Set<() => void>();
  readonly #database: SqlDatabase;
  readonly #clock: Clock;
  #permissions: ReadonlyMap<string, readonly string[]> = new Map();
  #fingerprint = '';

  constructor(parts: FollowedTableDeps & { clock: Clock }) {
    super('roles', parts);
    this.#database = parts.database;
    this.#clock = parts.clock;
  }

  /** Writes the built-in roles and permissions, reads the tables, and follows them from then on. */
  override async start(): Promise<void> {
    await this.#database.transaction((em) => rolesIn(em).seed(this.#clock.now()));
    await super.start();
  }

  /** The permissions of these roles, as far as this replica has seen: sorted names. */
  permissionsOf(roles: readonly string[]): string[] {
    return [...new Set(roles.flatMap((role) => this.#permissions.get(role) ?? []))].sort();
  }

  /** Tells the other replicas about a change, and reads it on this one. Call it after the commit. */
  async changed(): Promise<void> {
    this.tellOthers();
    await this.lookSoon();
  }

  protected override async readChanges(): Promise<void> {
    const { fingerprint, roles } = await this.#database.look((em) =>
      rolesIn(em).look(this.#fingerprint),
    );
    if (roles) this.#take(roles);
    this.#fingerprint = fingerprint;
  }

  #take(roles: readonly RoleRow[]): void {
    this.#permissions = new Map(roles.map(({ name, permissions }) => [name, permissions]));
    this.version += 1;
    for (const follower of this.followers) follower();
  }
}
