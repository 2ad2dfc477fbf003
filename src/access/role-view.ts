import { LockMode } from '@mikro-orm/core';
import { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { EntityManager } from '../platform/sql.ts';
import { etagOf } from '../platform/update.ts';
import { ADMIN_ROLE } from './permissions.ts';
import type { Role } from './role.entity.ts';
import { rolesIn } from './role.repository.ts';

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

/** `all` holds the names of all permissions, which the administrators' role has without listing them. */
export function roleView(role: Role, all: readonly string[]): RoleView {
  const { name, description, builtIn, createdAt, updatedAt } = role;
  const permissions = name === ADMIN_ROLE ? [...all] : [...role.permissions];
  const etag = etagOf([name, description, permissions]);
  return { name, description, permissions, builtIn, createdAt, updatedAt, etag };
}

/** Locks a role that operators may change. Throws `NOT_FOUND`, `BUILT_IN`. */
export async function lockCustomRole(em: EntityManager, name: string): Promise<Role> {
  const lockMode = LockMode.PESSIMISTIC_WRITE;
  const role = await rolesIn(em).findOne({ name, deletedAt: null }, { lockMode });
  if (!role) throw noSuchRole();
  if (role.builtIn) throw builtIn(`the role ${name}`);
  return role;
}

/** Throws `INVALID_REQUEST` for permissions that don't exist. */
export function requireExisting(all: readonly string[], permissions: readonly string[]): void {
  const unknown = permissions.filter((name) => !all.includes(name));
  if (unknown.length === 0) return;
  const description = `names permissions that do not exist: ${unknown.join(', ')}`;
  throw invalidField('role.permissions', description);
}

export function noSuchRole(): Failure {
  return new Failure('not_found', 'NOT_FOUND', 'there is no such role');
}

export function builtIn(what: string): Failure {
  const message = `${what} is built in, and can't be changed or deleted`;
  return new Failure('precondition', 'BUILT_IN', message);
}

export function nameTaken(what: 'permission' | 'role'): Failure {
  const message = `there is a ${what} with this name already; choose another name`;
  return new Failure('conflict', 'NAME_TAKEN', message);
}
