import { defineEntity, p } from '@mikro-orm/core';

const PermissionSchema = defineEntity({
  name: 'Permission',
  tableName: 'permissions',
  properties: {
    /** `noun.verb`. */
    name: p.text().primary(),
    description: p.text(),
    /** Whether the program defines it; otherwise it belongs to a customer's own service. */
    builtIn: p.boolean(),
    createdAt: p.datetime().columnType('timestamptz'),
  },
});

/** Something that roles can allow. */
export class Permission extends PermissionSchema.class {}
PermissionSchema.setClass(Permission);
