import type { MigrationObject } from '@mikro-orm/core';
import { Migration20261120000000 } from './Migration20261120000000.ts';
import { Migration20261121000000 } from './Migration20261121000000.ts';

/** Every migration, oldest first. */
export const migrations: MigrationObject[] = [
  { name: 'Migration20261120000000', class: Migration20261120000000 },
  { name: 'Migration20261121000000', class: Migration20261121000000 },
];
