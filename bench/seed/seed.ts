import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { cheapHash, PASSWORD } from '../service/passwords.ts';
import { seedDatabase } from './seed-database.ts';

const USAGE = `Usage: npm run seed -- [--accounts 1000000] [--sessions 5000000] [DATABASE_URL]

Fills a migrated database with made-up people and their sessions. If you stop it (Ctrl+C), it continues
when you start it again. It refuses a database that holds other people. Without an argument, DATABASE_URL
is taken from the environment. Everyone's password is: ${PASSWORD}
`;
const MAX_ROWS = 100_000_000;

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      accounts: { type: 'string', default: '1000000' },
      sessions: { type: 'string', default: '5000000' },
      help: { type: 'boolean', default: false },
    },
  });
  const [databaseUrl = process.env['DATABASE_URL'], ...others] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!databaseUrl || others.length > 0) throw new Error(USAGE);
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());
  const seeds = {
    accounts: count('accounts', values.accounts),
    sessions: count('sessions', values.sessions),
    passwordHash: await cheapHash(),
    refreshHash: randomBytes(32),
  };
  if (await seedDatabase(databaseUrl, seeds, stopping.signal)) return 0;
  process.stderr.write('Stopped. Start it again to continue.\n');
  return 130;
}

function count(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= MAX_ROWS) return number;
  throw new Error(`--${name} must be a whole number from 1 to ${MAX_ROWS}`);
}
