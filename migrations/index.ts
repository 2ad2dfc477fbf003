import type { MigrationObject } from '@mikro-orm/core';
import { Migration20261120000000 } from './Migration20261120000000.ts';
import { Migration20261121000000 } from './Migration20261121000000.ts';
import { Migration20261122000000 } from './Migration20261122000000.ts';
import { Migration20261122000001 } from './Migration20261122000001.ts';
import { Migration20261122000002 } from './Migration20261122000002.ts';
import { Migration20261122000003 } from './Migration20261122000003.ts';
import { Migration20261122000004 } from './Migration20261122000004.ts';

/** Every migration, oldest first. */
export const migrations: MigrationObject[] = [
  { name: 'Migration20261120000000', class: Migration20261120000000 },
  { name: 'Migration20261121000000', class: Migration20261121000000 },
  { name: 'Migration20261122000000', class: Migration20261122000000 },
  { name: 'Migration20261122000001', class: Migration20261122000001 },
  { name: 'Migration20261122000002', class: Migration20261122000002 },
  { name: 'Migration20261122000003', class: Migration20261122000003 },
  { name: 'Migration20261122000004', class: Migration20261122000004 },
];
