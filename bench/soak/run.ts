import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { between } from '../between.ts';
import { Cleanups } from '../service/cleanups.ts';
import { FAULTS, type Fault } from './fault-plan.ts';
import { soakPicture } from './picture.ts';
import { reportText, type SoakReport } from './report.ts';
import { soak } from './soak.ts';

const USAGE = `Usage: npm run soak -- --minutes 30 [--out DIR] [--json] [--seed 1] [--people 40] [--rate 1] [--faults NAME,…]

Two replicas on one PostgreSQL and one Redis, mixed traffic, and faults at random times. Exits with 1 if
anything failed that no fault explains, a session was lost, or something revoked was accepted for too long.

--out writes report.txt, report.json, soak.svg and the logs of the replicas into a folder.
--faults leaves out all others; none: no faults at all. They are:
${Object.keys(FAULTS)
  .map((fault) => `  ${fault}`)
  .join('\n')}
`;

/** The whole must fit into what a timer can count. */
const MOST_MINUTES = 24 * 60;

const cleanups = new Cleanups();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void cleanups.run().finally(() => process.exit(1)));
}
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  await cleanups.run();
}
// HTTP/2 clients keep connections open, which would keep the finished run alive.
process.exit();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      people: { type: 'string', default: '40' },
      rate: { type: 'string', default: '1' },
      faults: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = {
    lastsMs: numberOf('minutes', values.minutes, MOST_MINUTES) * 60_000,
    seed: between(0, 2 ** 32, 'seed', values.seed),
    people: between(1, 1000, 'people', values.people),
    rate: numberOf('rate', values.rate, 100),
    faults: faultsOf(values.faults),
    directory: values.out ?? cleanups.directory(),
    say: (text: string) => void process.stderr.write(`${text}\n`),
  };
  const report = await soak(cleanups, options);
  if (values.out !== undefined) write(values.out, report);
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  return report.problems.length === 0 ? 0 : 1;
}

function write(directory: string, report: SoakReport): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'report.txt'), reportText(report));
  writeFileSync(join(directory, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(directory, 'soak.svg'), soakPicture(report));
}

function numberOf(name: string, text: string, most: number): number {
  const number = Number(text);
  if (number > 0 && number <= most) return number;
  throw new Error(`--${name} must be a number above 0 and at most ${most}`);
}

function faultsOf(text: string | undefined): Fault[] {
  const all = Object.keys(FAULTS) as Fault[];
  if (text === undefined) return all;
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    const fault = all.find((each) => each === name.trim());
    if (!fault) throw new Error(`no fault ${name}\n\n${USAGE}`);
    return fault;
  });
}
