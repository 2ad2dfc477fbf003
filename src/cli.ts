import { type App, startApp } from './app.ts';
import { ADMIN_USAGE, adminCommand } from './cli/admin.ts';
import { API_KEYS_USAGE, apiKeysCommand } from './cli/apikeys.ts';
import { AUDIT_USAGE, auditCommand } from './cli/audit.ts';
import { DOCTOR_USAGE, doctorCommand } from './cli/doctor.ts';
import { EXIT, type Io, print } from './cli/io.ts';
import { KEYS_USAGE, keysCommand } from './cli/keys.ts';
import { MAIL_USAGE, mailCommand } from './cli/mail.ts';
import { SCOPES_USAGE, scopesCommand } from './cli/scopes.ts';
import { USERS_USAGE, usersCommand } from './cli/users.ts';
import { WEBHOOKS_USAGE, webhooksCommand } from './cli/webhooks.ts';
import { type Config, ConfigError, readConfig, unknownVariables } from './config.ts';
import { describeConfig, exampleEnvironment, settingsTable } from './config-text.ts';
import { createLog } from './platform/log.ts';
import { ownOrigins } from './platform/own-origins.ts';
import { migrate, openDatabase } from './schema.ts';

const USAGE = `Usage: countersign COMMAND [--json]

  serve     run the service (what \`npm start\` does)
  migrate   bring the database's schema up to date
  config    print the effective configuration, secrets masked
              --example   as an environment file with every default
              --table     as the table of the README
${DOCTOR_USAGE}${ADMIN_USAGE}${USERS_USAGE}${KEYS_USAGE}${API_KEYS_USAGE}${SCOPES_USAGE}${AUDIT_USAGE}${WEBHOOKS_USAGE}${MAIL_USAGE}
Everything is configured by environment variables: see the README or .env.example.
`;

type Flags = ReadonlySet<string>;

/** Commands that take flags only. */
const COMMANDS: Readonly<Record<string, (io: Io, flags: Flags) => Promise<number>>> = {
  serve,
  migrate: migrateCommand,
  config: configCommand,
};

/** Commands that read their own arguments. */
const GROUPS: Readonly<Record<string, (io: Io, args: readonly string[]) => Promise<number>>> = {
  admin: adminCommand,
  apikeys: apiKeysCommand,
  audit: auditCommand,
  doctor: doctorCommand,
  keys: keysCommand,
  mail: mailCommand,
  scopes: scopesCommand,
  users: usersCommand,
  webhooks: webhooksCommand,
};

/** Runs the `countersign` command. Returns its exit code; 78 means that the configuration is wrong. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const flags = new Set(args.filter((arg) => arg.startsWith('--')));
  const [command = 'serve', ...rest] = args.filter((arg) => !arg.startsWith('--'));
  if (flags.has('--help')) return print(io.out, USAGE, EXIT.ok);
  const group = GROUPS[command];
  const single = rest.length === 0 ? COMMANDS[command] : undefined;
  if (!group && !single) return print(io.err, USAGE, EXIT.usage);
  // Not an error: an older program must start with the settings of a newer one.
  for (const name of unknownVariables(io.env)) io.err(`${name} is not a setting of this version\n`);
  try {
    if (group) return await group(io, args.toSpliced(args.indexOf(command), 1));
    return (await single?.(io, flags)) ?? EXIT.usage;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    io.err('The configuration is not usable:\n');
    for (const problem of error.problems) io.err(`  - ${problem}\n`);
    return EXIT.config;
  }
}

async function serve(io: Io): Promise<number> {
  const config = readConfig(io.env, io.readFile);
  const app = await startApp(config);
  void app.ready.then(() => io.err(welcome(app, config)));
  await io.keepRunning(app, config);
  return EXIT.ok;
}

function welcome({ grpcAddress, httpAddress, publicUrl }: App, config: Config): string {
  return `
Countersign is ready.
  gRPC      ${grpcAddress}
  HTTP      ${publicUrl}${publicUrl.endsWith(httpAddress) ? '' : ` (listening on ${httpAddress})`}
${mailLine(publicUrl, config)}${config.devApp ? `  try it    ${ownOrigins(publicUrl).at(-1)}/dev/app\n` : ''}
Try next:
  npx buf curl --http2-prior-knowledge --protocol grpc --list-methods http://${grpcAddress}
  curl -s ${publicUrl}/.well-known/jwks.json
  curl -s ${publicUrl}/countersign.v1.AuthService/SignUp -H 'content-type: application/json' -d '{"email":"you@example.com","password":"correct horse battery"}'

`;
}

/** Where mail goes, if it isn't sent. */
function mailLine(publicUrl: string, { smtpUrl, mailbox }: Config): string {
  if (smtpUrl !== undefined) return '';
  const page = `  mail      ${publicUrl}/dev/mailbox`;
  if (mailbox === 'loopback') return `${page}\n`;
  if (mailbox === 'anyone') return `${page}, which shows every mail to ANYONE who reaches it\n`;
  return '  mail      WAITS in the outbox: SMTP_URL is not set, and nothing is sent until it is\n';
}

async function migrateCommand(io: Io, flags: Flags): Promise<number> {
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

async function configCommand(io: Io, flags: Flags): Promise<number> {
  if (flags.has('--example')) return print(io.out, exampleEnvironment(), EXIT.ok);
  if (flags.has('--table')) return print(io.out, settingsTable(), EXIT.ok);
  const described = describeConfig(readConfig(io.env, io.readFile));
  const lines = Object.entries(described).map(([name, value]) => `${name}=${value}\n`);
  io.out(flags.has('--json') ? `${JSON.stringify(described)}\n` : lines.join(''));
  return EXIT.ok;
}
