import { parseArgs } from 'node:util';
import { findH2load } from './h2load.ts';
import { measure, type Plan, type Result } from './measure.ts';
import { perSecond, table } from './report.ts';
import type { Row } from './row.ts';
import { introspectToken } from './rows/introspect-token.ts';
import { introspectTokenBearer } from './rows/introspect-token-bearer.ts';
import { introspectTokenInStorm } from './rows/introspect-token-in-storm.ts';
import { login } from './rows/login.ts';
import { refreshToken } from './rows/refresh-token.ts';

const ROWS: readonly Row[] = [
  introspectToken,
  introspectTokenBearer,
  introspectTokenInStorm,
  login,
  refreshToken,
];

const USAGE = `Usage: npm run bench -- [ROW…] [--rounds 5] [--seconds 5] [--json] [--cpu-prof DIR]

${ROWS.map(({ name, about }) => `  ${name.padEnd(24)}${about}`).join('\n')}
`;

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// What an HTTP/2 client keeps open for its next call must not keep a run that is done.
process.exit();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  findH2load();
  const plan: Plan = {
    rounds: between(1, 100, 'rounds', values.rounds),
    seconds: between(1, 600, 'seconds', values.seconds),
    profileDirectory: values['cpu-prof'],
  };
  const results: Result[] = [];
  for (const row of chosen(positionals)) results.push(await measureAloud(row, plan));
  process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : table(results));
  return 0;
}

function chosen(names: readonly string[]): readonly Row[] {
  for (const name of names) {
    if (!ROWS.some((row) => row.name === name)) throw new Error(`no row ${name}\n\n${USAGE}`);
  }
  return names.length === 0 ? ROWS : ROWS.filter((row) => names.includes(row.name));
}

function between(min: number, max: number, name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new Error(`--${name} is not a whole number from ${min} to ${max}`);
}

/** Progress goes to standard error, so that standard output holds the results and nothing else. */
async function measureAloud(row: Row, plan: Plan): Promise<Result> {
  process.stderr.write(`${row.name}: ${row.about}\n`);
  return measure(row, plan, (round, ours, bare) => {
    const ratio = (ours / bare).toFixed(2);
    process.stderr.write(
      `  ${round}/${plan.rounds}  ${perSecond(ours)}/s against ${perSecond(bare)}/s: ${ratio}\n`,
    );
  });
}
