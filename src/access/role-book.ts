import type { Clock } from '../platform/clock.ts';
import { FollowedTable, type FollowedTableDeps } from '../platform/followed-table.ts';
import { type RoleRow, rolesIn } from './role.repository.ts';

export type RoleBookDeps = FollowedTableDeps & { clock: Clock };

/** This replica's memory of what each role allows, in step with the table (S09). */
export class RoleBook extends FollowedTable {
  /** Another number after every change: what follows from the roles is as old as the number it had. */
  version = 0;
  readonly #deps: RoleBookDeps;
  #permissions: ReadonlyMap<string, readonly string[]> = new Map();
  #fingerprint = '';

  constructor(deps: RoleBookDeps) {
    super('roles', deps);
    this.#deps = deps;
  }

  /** Brings the tables up to what the program knows, reads them, and follows them from then on. */
  override async start(): Promise<void> {
    const { database, clock } = this.#deps;
    await database.transaction((em) => rolesIn(em).seed(clock.now()));
    await super.start();
  }

  /** What the holder of these roles may do, as far as this replica has seen: sorted names. */
  permissionsOf(roles: readonly string[]): string[] {
    return [...new Set(roles.flatMap((role) => this.#permissions.get(role) ?? []))].sort();
  }

  /** After a change has committed: this replica knows it when this resolves, the others are told. */
  async changed(): Promise<void> {
    this.tellOthers();
    await this.lookSoon();
  }

  protected override async readChanges(): Promise<void> {
    const { fingerprint, roles } = await this.#deps.database.read((em) =>
      rolesIn(em).look(this.#fingerprint),
    );
    if (roles) this.#take(roles);
    this.#fingerprint = fingerprint;
  }

  #take(roles: readonly RoleRow[]): void {
    this.#permissions = new Map(roles.map(({ name, permissions }) => [name, permissions]));
    this.version += 1;
  }
}
