import { defineEntity, p } from '@mikro-orm/core';

const RoleSchema = defineEntity({
  name: 'Role',
  tableName: 'roles',
  properties: {
    name: p.text().primary(),
    description: p.text(),
    /** Whether the program defines it, so that nobody can change it. */
    builtIn: p.boolean(),
    /** Names of permissions, sorted. */
    permissions: p.array().columnType('text[]'),
    createdAt: p.datetime().columnType('timestamptz'),
    updatedAt: p.datetime().columnType('timestamptz'),
    /** When it stopped granting anything; its name is being taken from its holders since then. */
    deletedAt: p.datetime().columnType('timestamptz').nullable(),
  },
});

/** A named set of permissions. Accounts and service accounts have roles by their names. */
export class Role extends RoleSchema.class {}
RoleSchema.setClass(Role);
