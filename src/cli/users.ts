import { parseArgs } from 'node:util';
import { rolesIn } from '../access/role.repository.ts';
import { EXIT, type Io, print } from './io.ts';
import { type OnDatabase, onDatabase } from './on-database.ts';
import { exportCommand } from './users-export.ts';
import { formatOf, importCommand } from './users-import.ts';

export const USERS_USAGE = `  users     move users between systems, in the database that the service uses
              import FILE [--format ndjson|csv] [--dry-run] [--update] [--refused FILE]
                        65: rows were refused, or the file can't be read; 66: it is not there
              export [--format ndjson|csv] [--state active|suspended] [--role NAME]
                     [--password-hashes]
                        all users, to standard output
`;

type Command = (on: OnDatabase) => Promise<number>;

/** Moves users without asking the service, which may be down or up. Returns the exit code. */
export async function usersCommand(io: Io, args: readonly string[]): Promise<number> {
  const command = parse(io, args);
  if (!command) return print(io.err, `Usage: countersign users …\n\n${USERS_USAGE}`, EXIT.usage);
  return onDatabase(io, async (on) => {
    // The service may never have started on this database.
    await on.sql.transaction((em) => rolesIn(em).seed(on.clock.now()));
    return command(on);
  });
}

const OPTIONS = {
  json: { type: 'boolean', default: false },
  format: { type: 'string', default: '' },
} as const;

function parse(io: Io, [action, ...rest]: readonly string[]): Command | undefined {
  try {
    if (action === 'import') return parseImport(io, rest);
    return action === 'export' ? parseExport(io, rest) : undefined;
  } catch {
    return undefined;
  }
}

function parseImport(io: Io, args: string[]): Command | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      ...OPTIONS,
      'dry-run': { type: 'boolean', default: false },
      update: { type: 'boolean', default: false },
      refused: { type: 'string', default: '' },
    },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) return undefined;
  const { 'dry-run': dryRun, ...others } = values;
  return (on) => importCommand(io, on, { ...others, dryRun, file });
}

const STATES = { '': undefined, active: 'active', suspended: 'suspended' } as const;

function parseExport(io: Io, args: string[]): Command | undefined {
  const { values } = parseArgs({
    args,
    options: {
      ...OPTIONS,
      state: { type: 'string', default: '' },
      role: { type: 'string', default: '' },
      'password-hashes': { type: 'boolean', default: false },
    },
  });
  const { json, role, 'password-hashes': passwordHashes } = values;
  const format = formatOf({ format: values.format || 'ndjson', file: '' });
  if (!format || !Object.hasOwn(STATES, values.state)) return undefined;
  const state = STATES[values.state as keyof typeof STATES];
  return (on) => exportCommand(io, on, { json, role, passwordHashes, format, state });
}
