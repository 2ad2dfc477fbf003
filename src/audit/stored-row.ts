import type { EntityClass } from '@mikro-orm/core';
import { type EntityManager, query } from '../platform/sql.ts';

/**
 * A row exactly as it is stored: a time as RFC 3339 in UTC with six decimals (the ORM's `Date` has
 * three), bytes in hex.
 */
export type Stored<Entity> = { [Name in keyof Entity]-?: StoredValue<Entity[Name]> };

type StoredValue<Value> = Value extends Date | Uint8Array ? string : Exclude<Value, undefined>;

type Reading = { select(column: string): string; read?(value: unknown): unknown };

/** How columns of a type are selected, and how their values are read. Other types stay as they are. */
const READINGS: Readonly<Record<string, Reading>> = {
  timestamptz: {
    select: (column) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  },
  bytea: { select: (column) => `encode(${column}, 'hex')` },
  jsonb: { select: (column) => `${column}::text`, read: (value) => JSON.parse(String(value)) },
  // As text it would be sorted as text by an `order by` of the same name. Drivers differ in its type.
  bigint: { select: (column) => column, read: Number },
};

type Column = { name: string; sql: string; reading: Reading | undefined };

/**
 * Runs a statement that selects all columns of an entity's table. `rest` is what follows the columns,
 * and `extra` is further columns to select.
 */
export async function storedRows<Entity extends object, Extra extends object = object>(
  em: EntityManager,
  entity: EntityClass<Entity>,
  rest: string,
  parameters: readonly unknown[] = [],
  extra?: string,
): Promise<(Stored<Entity> & Extra)[]> {
  const columns = columnsOf(em, entity);
  const list = columns.map(({ name, sql }) => `${sql} as "${name}"`);
  const selected = [...list, ...(extra === undefined ? [] : [extra])].join(', ');
  const rows = await query<Stored<Entity> & Extra>(em, `select ${selected} ${rest}`, parameters);
  return rows.map((row) => ({ ...row, ...valuesOf(row, columns) }));
}

function columnsOf<Entity extends object>(
  em: EntityManager,
  entity: EntityClass<Entity>,
): Column[] {
  return em.getMetadata(entity).props.map(({ name, fieldNames, columnTypes }) => {
    const column = fieldNames[0] ?? name;
    const reading = READINGS[columnTypes[0] ?? ''];
    return { name, sql: reading?.select(column) ?? column, reading };
  });
}

/** Returns the values of a row that differ from what the statement returned. */
function valuesOf(row: object, columns: readonly Column[]): object {
  const values: Record<string, unknown> = {};
  for (const { name, reading } of columns) {
    const value: unknown = Reflect.get(row, name);
    if (reading?.read && value !== null) values[name] = reading.read(value);
  }
  return values;
}
