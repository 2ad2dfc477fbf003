import { lock } from '../platform/locks.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { ADMIN_ROLE, BUILT_IN_PERMISSIONS, BUILT_IN_ROLES } from './permissions.ts';
import { Role } from './role.entity.ts';

/** Holders that lose a deleted role in one statement. */
const HOLDERS_BATCH = 500;

/** What a replica keeps in memory of a role. */
export type RoleRow = { name: string; permissions: string[] };

type LookRow = { fingerprint: string; name: string | null; permissions: string[] };

/** The SQL of roles. */
export class RoleRepository extends Repository<Role> {
  /**
   * Reads all roles if the tables have changed since they had the fingerprint `known`, in one
   * statement. `xmin` differs after every change of a row, in whatever order the changes commit.
   */
  async look(known: string): Promise<{ fingerprint: string; roles: RoleRow[] | undefined }> {
    const rows = await this.query<LookRow>(
      `with book as (
         select md5(
           (select coalesce(string_agg(name || ':' || xmin::text, ',' order by name), '') from roles)
           || ';' ||
           (select coalesce(string_agg(name || ':' || xmin::text, ',' order by name), '')
            from permissions)
         ) as fingerprint
       )
       select book.fingerprint, r.name, ${this.#permissions('r')} as permissions
       from book left join roles r on book.fingerprint <> $2 and r.deleted_at is null`,
      [ADMIN_ROLE, known],
    );
    const fingerprint = rows[0]?.fingerprint ?? '';
    if (fingerprint === known) return { fingerprint, roles: undefined };
    const roles = rows.filter((row): row is LookRow & RoleRow => row.name !== null);
    return { fingerprint, roles };
  }

  /** The permissions of these roles at this moment, by the table: sorted names. */
  async permissionsOf(roles: readonly string[]): Promise<string[]> {
    const rows = await this.query<{ name: string }>(
      `select distinct p.name
       from roles r cross join lateral unnest(${this.#permissions('r')}) as p (name)
       where r.name = any($2::text[]) and r.deleted_at is null order by p.name`,
      [ADMIN_ROLE, roles],
    );
    return rows.map(({ name }) => name);
  }

  /** The names of the roles that grant a permission. */
  async namesWith(permission: string): Promise<string[]> {
    const rows = await this.query<{ name: string }>(
      `select r.name from roles r
       where $2 = any(${this.#permissions('r')}) and r.deleted_at is null order by r.name`,
      [ADMIN_ROLE, permission],
    );
    return rows.map(({ name }) => name);
  }

  /**
   * Returns those of these roles that exist, sorted. Nobody can change them until this transaction ends.
   */
  async lockExisting(names: readonly string[]): Promise<string[]> {
    const rows = await this.query<{ name: string }>(
      `select name from roles where name = any($1::text[]) and deleted_at is null
       order by name for share`,
      [names],
    );
    return rows.map(({ name }) => name);
  }

  /** Makes all other transactions that change roles or permissions wait until this one ends. */
  async lock(): Promise<void> {
    await lock(this.em, 'roles');
  }

  /**
   * Writes the built-in roles and permissions, and leaves what operators have added. Several replicas
   * may do so at once; rows that are right already are not written.
   */
  async seed(now: Date): Promise<void> {
    await this.lock();
    await this.query(
      `insert into permissions as p (name, description, built_in, created_at)
       select s.name, s.description, true, $2
       from jsonb_to_recordset($1::jsonb) as s (name text, description text)
       on conflict (name) do update set description = excluded.description, built_in = true
       where (p.description, p.built_in) is distinct from (excluded.description, true)`,
      [JSON.stringify(permissionSeeds), now],
    );
    await this.query(
      `insert into roles as r (name, description, built_in, permissions, created_at, updated_at)
       select s.name, s.description, true, s.permissions, $2, $2
       from jsonb_to_recordset($1::jsonb) as s (name text, description text, permissions text[])
       on conflict (name) do update
       set description = excluded.description, built_in = true, deleted_at = null,
           permissions = excluded.permissions, updated_at = excluded.updated_at
       where (r.description, r.built_in, r.permissions, r.deleted_at)
         is distinct from (excluded.description, true, excluded.permissions, null)`,
      [JSON.stringify(roleSeeds), now],
    );
  }

  /**
   * Takes a deleted role from some of its holders with all tokens that they have, and deletes its row
   * once there are none: only then can the name be used again without giving old tokens anything (A08).
   * The transaction must have locked the roles. Revocations are in force until `revokedUntil`.
   */
  async takeFromHolders(name: string, now: Date, revokedUntil: Date): Promise<void> {
    let taken = 0;
    for (const table of ['accounts', 'service_accounts']) {
      const rows = await this.query(
        `with taken as (
           update ${table} set roles = array_remove(roles, $1), updated_at = $2,
             token_version = token_version + 1
           where id in (
             select id from ${table} where roles @> array[$1::text] limit ${HOLDERS_BATCH} for update
           ) returning id, token_version
         )
         insert into revocations (id, kind, target, not_before, below_version, cause, expires_at)
         select gen_random_uuid(), 'subject', id::text, $2, token_version, 'role_changed', $3 from taken
         returning 1`,
        [name, now, revokedUntil],
      );
      taken = Math.max(taken, rows.length);
    }
    if (taken < HOLDERS_BATCH) await this.query('delete from roles where name = $1', [name]);
  }

  /** SQL for the permissions of a role; `$1` is the name of the role that has them all. */
  #permissions(role: string): string {
    return `case when ${role}.name = $1 then array(select name from permissions order by name)
      else ${role}.permissions end`;
  }
}

/** The roles that a connection or a transaction sees. */
export function rolesIn(em: EntityManager): RoleRepository {
  return new RoleRepository(em, Role);
}

const permissionSeeds = Object.entries(BUILT_IN_PERMISSIONS).map(([name, description]) => ({
  name,
  description,
}));

const roleSeeds = Object.entries(BUILT_IN_ROLES).map(([name, { description, permissions }]) => ({
  name,
  description,
  permissions: [...permissions].sort(),
}));
