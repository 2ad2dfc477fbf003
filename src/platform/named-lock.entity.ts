import { defineEntity, p } from '@mikro-orm/core';

const NamedLockSchema = defineEntity({
  name: 'NamedLock',
  tableName: 'locks',
  properties: {
    name: p.text().primary(),
  },
});

/** A row that means nothing by itself: whoever locks it holds the lock of its name. */
export class NamedLock extends NamedLockSchema.class {}
NamedLockSchema.setClass(NamedLock);
