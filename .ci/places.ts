import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type EntityClass, EntitySchema } from '@mikro-orm/core';
import { MikroORM } from '@mikro-orm/postgresql';
import { ErrorReason } from '../gen/countersign/v1/error_reason_pb.ts';
import { REASONS } from '../src/rpc/reasons.ts';

const SCHEMA = 'src/schema.ts';
const ERASURE = 'src/accounts/erase-account.ts';
const EXPORT = 'src/accounts/export-me.ts';
const RETENTION = 'src/background.ts';
const PAGE = 'docs/architecture.md';

/** Tables about accounts that `ExportMe` leaves out, and why. */
const NOT_EXPORTED: Readonly<Record<string, string>> = {
  audit_erasures: 'comes into being when the account is deleted',
  mailed_tokens: 'keyed hashes of links that last days at most',
  password_credentials: 'the hash of a password',
  password_history: 'hashes of passwords',
  recovery_codes: 'keyed hashes of codes',
};

type Table = { name: string; entity: string; columns: readonly string[] };

/** Every entity of the program, by its class. */
export async function allEntities(): Promise<EntityClass[]> {
  const modules = await Promise.all(
    globSync('src/**/*.entity.ts')
      .sort()
      .map((file) => import(pathToFileURL(resolve(file)).href)),
  );
  return modules
    .flatMap((module) => Object.values(module))
    .filter((value): value is EntityClass => EntitySchema.REGISTRY.has(value as EntityClass));
}

/** The places that a table, or an error reason, has not reached, a line each. */
export function forgottenPlaces(entities: readonly EntityClass[]): string[] {
  return [...tablesOf(entities).flatMap(forgottenBy), ...forgottenReasons()];
}

function tablesOf(entities: readonly EntityClass[]): Table[] {
  const orm = new MikroORM({ entities: [...entities], dbName: 'none', connect: false });
  return [...orm.getMetadata().getAll().values()].map(({ tableName, className, props }) => ({
    name: tableName,
    entity: className,
    columns: props.flatMap(({ fieldNames }) => fieldNames),
  }));
}

function forgottenBy(table: Table): string[] {
  const { name, entity, columns } = table;
  const found: string[] = [];
  if (!new RegExp(`^  ${entity},$`, 'm').test(read(SCHEMA))) {
    found.push(`${SCHEMA}: its list of entities lacks ${entity}`);
  }
  if (!read(PAGE).includes(`\`${name}\``)) found.push(`${PAGE}: its list of tables lacks ${name}`);
  if (columns.some((column) => ABOUT_AN_ACCOUNT.test(column))) {
    if (!isErased(table)) {
      found.push(`${ERASURE}: ${name} is about accounts, and nothing erases it with one`);
    }
    if (!isExported(table) && !(name in NOT_EXPORTED)) {
      found.push(`${EXPORT}: ${name} is about accounts, and is neither exported nor exempt`);
    }
  }
  if (columns.some((column) => /(^|_)expires_at$/.test(column)) && !isForgotten(table)) {
    found.push(`${RETENTION}: rows of ${name} expire, and no batch deletes them`);
  }
  return found;
}

const ABOUT_AN_ACCOUNT = /^((account|owner|user)_id|actor|subject)$/;

/** Whether the table stands in the list of what an account owns, or a statement blanks its rows. */
function isErased(table: Table): boolean {
  const files = [ERASURE, ...importsOf(ERASURE).filter((file) => /\/erase-/.test(file))];
  const text = files.map(read).join('\n');
  const owned = new RegExp(`^  ${table.entity},$`, 'm');
  const statement = new RegExp(`(delete from|update) ${table.name}\\b`);
  return (
    owned.test(text) ||
    statement.test(text) ||
    calls(text, table, 'erase|forget|nativeDelete|nativeUpdate')
  );
}

/** Whether `ExportMe`, or a file that it takes its answers from, reads the table. */
function isExported(table: Table): boolean {
  const text = [EXPORT, ...importsOf(EXPORT)].map(read).join('\n');
  const statement = new RegExp(
    `(from|join) ${table.name}\\b|\\.find\\w*\\(\\s*${table.entity}\\b|'${table.name}'`,
  );
  return statement.test(text) || accessorsOf(table).some((name) => text.includes(`${name}(`));
}

function isForgotten(table: Table): boolean {
  return calls(read(RETENTION), table, 'forget');
}

/** Whether a method of a repository of the table, or of what stands before it, is called. */
function calls(text: string, table: Table, verbs: string): boolean {
  return accessorsOf(table).some((accessor) => {
    const receiver = `(\\b${accessor}\\([\\w.]+\\)|\\b${accessor.slice(0, -2)})`;
    return new RegExp(`${receiver}\\s*\\.(${verbs})\\w*\\(`).test(text);
  });
}

/** The functions that return repositories of a table, such as `sessionsIn`. */
function accessorsOf({ entity }: Table): string[] {
  const accessor = new RegExp(
    `function (\\w+In)\\([^)]*\\)[^{]*\\{\\s*return new \\w+\\(\\w+, ${entity}\\)`,
  );
  return globSync('src/**/*.repository.ts').flatMap((file) => accessor.exec(read(file))?.[1] ?? []);
}

/** Files of our own that a file imports. */
function importsOf(file: string): string[] {
  return [...read(file).matchAll(/from '(\.[^']+)'/g)].map(([, specifier = '']) =>
    normalize(join(dirname(file), specifier)),
  );
}

/** The compiler finds a reason that the proto lacks; this finds one that the code lacks. */
function forgottenReasons(): string[] {
  return Object.keys(ErrorReason)
    .filter((name) => !/^\d+$/.test(name) && name !== 'UNSPECIFIED' && !(name in REASONS))
    .map((name) => `src/platform/failure.ts: the proto's reason ${name} is missing in Reason`);
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
