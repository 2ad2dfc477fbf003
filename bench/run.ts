import { parseArgs } from 'node:util';
import { between } from './between.ts';
import { findH2load } from './load/h2load.ts';
import { record, slidesSoFar } from './report/history-file.ts';
import { measure, type Plan, type Result } from './report/measure.ts';
import type { Row, Sizes } from './report/row.ts';
import { perSecond, table } from './report/table.ts';
import { auditOverhead } from './rows/audit-overhead.ts';
import { checkToken } from './rows/check.ts';
import { checkApiKey } from './rows/check-api-key.ts';
import { checkMany } from './rows/check-many.ts';
import { envoyLatency } from './rows/envoy-latency.ts';
import { floods } from './rows/floods.ts';
import { growth } from './rows/growth.ts';
import { introspectToken } from './rows/introspect-token.ts';
import { introspectTokenBearer } from './rows/introspect-token-bearer.ts';
import { introspectTokenInStorm } from './rows/introspect-token-in-storm.ts';
import { introspectTokenJson } from './rows/introspect-token-json.ts';
import { introspectTokenMany } from './rows/introspect-token-many.ts';
import { latency } from './rows/latency.ts';
import { listUsers } from './rows/list-users.ts';
import { login } from './rows/login.ts';
import { memory } from './rows/memory.ts';
import { oauthIntrospect } from './rows/oauth-introspect.ts';
import { oauthIntrospectBasic } from './rows/oauth-introspect-basic.ts';
import { refreshToken } from './rows/refresh-token.ts';
import { residentMemoryRow } from './rows/resident-memory.ts';
import { revocationLatency } from './rows/revocation-latency.ts';
import { signUp } from './rows/sign-up.ts';
import { start } from './rows/start.ts';
import { verifierInterceptor } from './rows/verifier-interceptor.ts';
import { verifierMemory } from './rows/verifier-memory.ts';
import { verifierStreams } from './rows/verifier-streams.ts';
import { verify } from './rows/verify.ts';
import { verifyApiKey } from './rows/verify-api-key.ts';
import { verifyApiKeyJson } from './rows/verify-api-key-json.ts';
import { verifyApiKeyMany } from './rows/verify-api-key-many.ts';
import { webhookLatency } from './rows/webhook-latency.ts';
import { webhookMemory } from './rows/webhook-memory.ts';
import { webhooks } from './rows/webhooks.ts';

const ROWS: readonly Row[] = [
  auditOverhead,
  checkToken,
  checkApiKey,
  checkMany,
  verify,
  introspectToken,
  introspectTokenBearer,
  introspectTokenJson,
  introspectTokenMany,
  introspectTokenInStorm,
  oauthIntrospect,
  oauthIntrospectBasic,
  listUsers,
  verifyApiKey,
  verifyApiKeyJson,
  verifyApiKeyMany,
  login,
  signUp,
  refreshToken,
  verifierInterceptor,
  webhooks,
  latency,
];

/** Rows that take minutes, or a program that few have. They are measured only if they are named. */
const NAMED_ROWS: readonly Row[] = [
  envoyLatency,
  revocationLatency,
  start,
  memory,
  residentMemoryRow,
  verifierStreams,
  verifierMemory,
  webhookLatency,
  webhookMemory,
  floods,
  growth,
];

const SIZES: Sizes = {
  revocations: 300,
  tokens: 1_000_000,
  accounts: 1_000_000,
  sessions: 5_000_000,
};

const USAGE = `Usage: npm run bench -- [ROW…] [--rounds 5] [--seconds 5] [--json] [--cpu-prof DIR] [--record]
       npm run bench -- --slides

${list(ROWS)}

Only when named, since they take minutes or another program:
${list(NAMED_ROWS)}

Their sizes: ${Object.entries(SIZES)
  .map(([name, size]) => `--${name} ${size}`)
  .join(' ')}

--record appends the figures to bench/history.tsv; --slides only says what that file shows to be worse.
`;

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// HTTP/2 clients keep connections open, which would keep the finished run alive.
process.exit();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      slides: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      revocations: { type: 'string', default: String(SIZES.revocations) },
      tokens: { type: 'string', default: String(SIZES.tokens) },
      accounts: { type: 'string', default: String(SIZES.accounts) },
      sessions: { type: 'string', default: String(SIZES.sessions) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.slides) {
    process.stdout.write(slidesSoFar());
    return 0;
  }
  findH2load();
  const plan: Plan = {
    rounds: between(1, 100, 'rounds', values.rounds),
    seconds: between(1, 600, 'seconds', values.seconds),
    profileDirectory: values['cpu-prof'],
    sizes: {
      revocations: between(10, 10_000, 'revocations', values.revocations),
      tokens: between(20_000, 10_000_000, 'tokens', values.tokens),
      accounts: between(10_000, 10_000_000, 'accounts', values.accounts),
      sessions: between(10_000, 100_000_000, 'sessions', values.sessions),
    },
  };
  const results: Result[] = [];
  for (const row of chosen(positionals)) results.push(await measureAndReport(row, plan));
  process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : table(results));
  if (values.record) {
    record(results);
    process.stderr.write(slidesSoFar());
  }
  return 0;
}

function chosen(names: readonly string[]): readonly Row[] {
  const all = [...ROWS, ...NAMED_ROWS];
  for (const name of names) {
    if (!all.some((row) => row.name === name)) throw new Error(`no row ${name}\n\n${USAGE}`);
  }
  return names.length === 0 ? ROWS : all.filter((row) => names.includes(row.name));
}

function list(rows: readonly Row[]): string {
  return rows.map(({ name, about }) => `  ${name.padEnd(24)}${about}`).join('\n');
}

/** Measures a row. Progress goes to standard error, so standard output has only the results. */
async function measureAndReport(row: Row, plan: Plan): Promise<Result> {
  process.stderr.write(`${row.name}: ${row.about}\n`);
  return measure(row, plan, (round, ours, bare) => {
    const ratio = (ours / bare).toFixed(2);
    process.stderr.write(
      `  ${round}/${plan.rounds}  ${perSecond(ours)}/s against ${perSecond(bare)}/s: ${ratio}\n`,
    );
  });
}
