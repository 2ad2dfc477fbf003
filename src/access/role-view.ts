import { LockMode } from '@mikro-orm/core';
import type { Clock } from '../platform/clock.ts';
import { etagOf } from '../platform/etag.ts';
import { Failure } from '../platform/failure.ts';
import type { EntityManager } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import { Permission } from './permission.entity.ts';
import { ADMIN_ROLE } from './permissions.ts';
import { Role } from './role.entity.ts';
import type { RoleBook } from './role-book.ts';

export type RoleDeps = {
  database: SqlDatabase;
  clock: Clock;
  roles: Pick<RoleBook, 'changed'>;
  revocations: Pick<RevocationFeed, 'revokeSubject' | 'revokeHolders'>;
};

/** A role as administrators see it. */
export type RoleView = {
  name: string;
  description: string;
  permissions: string[];
  builtIn: boolean;
  createdAt: Date;
  updatedAt: Date;
  etag: string;
};

/** `all` are the names of all permissions, which the administrators' role has without listing them. */
export function roleView(role: Role, all: readonly string[]): RoleView {
  const { name, description, builtIn, createdAt, updatedAt } = role;
  const permissions = name === ADMIN_ROLE ? [...all] : [...role.permissions];
  const etag = etagOf([name, description, permissions]);
  return { name, description, permissions, builtIn, createdAt, updatedAt, etag };
}

/** The names of all permissions, sorted. */
export async function permissionNames(em: EntityManager): Promise<string[]> {
  const all = await em.findAll(Permission, { orderBy: { name: 'asc' } });
  return all.map(({ name }) => name);
}

/** A role that operators may change, locked. Throws `NOT_FOUND`, `BUILT_IN`. */
export async function lockCustomRole(em: EntityManager, name: string): Promise<Role> {
  const lockMode = LockMode.PESSIMISTIC_WRITE;
  const role = await em.findOne(Role, { name, deletedAt: null }, { lockMode });
  if (!role) throw noSuchRole();
  if (role.builtIn) throw builtIn(`the role ${name}`);
  return role;
}

/** Throws `INVALID_REQUEST` for permissions that don't exist. */
export function requireExisting(all: readonly string[], permissions: readonly string[]): void {
  const unknown = permissions.filter((name) => !all.includes(name));
  if (unknown.length === 0) return;
  const description = `names permissions that do not exist: ${unknown.join(', ')}`;
  throw new Failure('invalid', 'INVALID_REQUEST', `the role ${description}`, {
    fields: [{ path: 'role.permissions', description }],
  });
}

export function noSuchRole(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such role');
}

export function builtIn(what: string): Failure {
  return new Failure('precondition', 'BUILT_IN', `${what} is always there, and always the same`);
}

export function nameTaken(what: string): Failure {
  return new Failure('conflict', 'NAME_TAKEN', `there is ${what} of this name`);
}
