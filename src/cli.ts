import { type App, startApp } from './app.ts';
import {
  type Config,
  ConfigError,
  type Environment,
  type ReadFile,
  readConfig,
  unknownVariables,
} from './config.ts';
import { describeConfig, exampleEnvironment, settingsTable } from './config-text.ts';
import { createLog } from './platform/log.ts';
import { migrate, openDatabase } from './schema.ts';

/** What the command touches outside itself. */
export type Io = {
  env: Environment;
  readFile: ReadFile;
  out: (text: string) => void;
  err: (text: string) => void;
  /** Runs `app` until it is told to stop, and then stops it. */
  keepRunning: (app: App, config: Config) => Promise<void>;
};

/** From sysexits.h, as far as service managers tell them apart. */
const EXIT = { ok: 0, failed: 1, usage: 64, config: 78 } as const;

const USAGE = `Usage: countersign COMMAND [--json]

  serve     run the service (what \`npm start\` does)
  migrate   bring the database's schema up to date
  config    print the effective configuration, secrets masked
              --example   as an environment file with every default
              --table     as the table of the README

Everything is configured by environment variables: see the README or .env.example.
`;

/** Runs the `countersign` command. Gives its exit code; 78 means that the configuration is wrong. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const flags = new Set(args.filter((arg) => arg.startsWith('--')));
  const [command = 'serve', ...rest] = args.filter((arg) => !arg.startsWith('--'));
  const commands: Record<string, (io: Io, flags: Set<string>) => Promise<number>> = {
    serve,
    migrate: migrateCommand,
    config: configCommand,
  };
  const chosen = commands[command];
  if (flags.has('--help')) return print(io.out, USAGE, EXIT.ok);
  if (!chosen || rest.length > 0) return print(io.err, USAGE, EXIT.usage);
  // Not an error: an older program must start with the settings of a newer one.
  for (const name of unknownVariables(io.env)) io.err(`${name} is not a setting of this version\n`);
  try {
    return await chosen(io, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    io.err('The configuration is not usable:\n');
    for (const problem of error.problems) io.err(`  - ${problem}\n`);
    return EXIT.config;
  }
}

function print(to: (text: string) => void, text: string, code: number): number {
  to(text);
  return code;
}

async function serve(io: Io): Promise<number> {
  const config = readConfig(io.env, io.readFile);
  const app = await startApp(config);
  void app.ready.then(() => io.err(welcome(app, config)));
  await io.keepRunning(app, config);
  return EXIT.ok;
}

function welcome({ grpcAddress, httpAddress, publicUrl }: App, config: Config): string {
  const embedded = config.databaseUrl === undefined;
  const mail =
    config.smtpUrl === undefined && embedded ? `  mail      ${publicUrl}/dev/mailbox\n` : '';
  return `
Countersign is ready.
  gRPC      ${grpcAddress}
  HTTP      ${publicUrl}${publicUrl.endsWith(httpAddress) ? '' : ` (listening on ${httpAddress})`}
${mail}
Try next:
  npx buf curl --http2-prior-knowledge --protocol grpc --list-methods http://${grpcAddress}
  curl -s ${publicUrl}/.well-known/jwks.json
  curl -s ${publicUrl}/countersign.v1.AuthService/SignUp -H 'content-type: application/json' -d '{"email":"you@example.com","password":"correct horse battery"}'

`;
}

async function migrateCommand(io: Io, flags: Set<string>): Promise<number> {
  const config = readConfig(io.env, io.readFile);
  const log = createLog(config.logLevel);
  const database = await openDatabase(config, log, { forMigration: true });
  try {
    const applied = await migrate(database);
    const text =
      applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'the schema is up to date\n';
    io.out(flags.has('--json') ? `${JSON.stringify({ applied })}\n` : text);
  } finally {
    await database.close();
  }
  return EXIT.ok;
}

async function configCommand(io: Io, flags: Set<string>): Promise<number> {
  if (flags.has('--example')) return print(io.out, exampleEnvironment(), EXIT.ok);
  if (flags.has('--table')) return print(io.out, settingsTable(), EXIT.ok);
  const described = describeConfig(readConfig(io.env, io.readFile));
  const lines = Object.entries(described).map(([name, value]) => `${name}=${value}\n`);
  io.out(flags.has('--json') ? `${JSON.stringify(described)}\n` : lines.join(''));
  return EXIT.ok;
}
