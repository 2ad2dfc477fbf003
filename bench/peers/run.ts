import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { between } from '../between.ts';
import { findH2load } from '../load/h2load.ts';
import { machine } from '../report/history-file.ts';
import { Cleanups } from '../service/cleanups.ts';
import { writeDocuments } from './documents.ts';
import { measurePeers, type Plan } from './measure-peers.ts';
import { WORKS } from './peer.ts';
import { type Results, readResults, writeResults } from './results.ts';
import { peersTable } from './table.ts';
import { targetsText } from './targets.ts';

const USAGE = `Usage: npm run bench:peers -- [WORK…] [--rounds 3] [--seconds 5] [--write]
       npm run bench:peers -- --draw

Works: ${WORKS.join(', ')}. Without a name, all.
KEYCLOAK_HOME names the folder of an unpacked Keycloak; without it, Keycloak is left out.

  --write   keeps the results of all works, and writes them into the documents
  --draw    measures nothing: writes the kept results into the documents again
`;

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// HTTP/2 clients keep connections open, which would keep the finished run alive.
process.exit();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      write: { type: 'boolean', default: false },
      draw: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values.draw) return writeDocuments(readResults());
  if (values.write && positionals.length > 0) {
    throw new Error('--write keeps the results of all works: name none');
  }
  const results = await measure({
    works: chosen(positionals),
    rounds: between(1, 100, 'rounds', values.rounds),
    seconds: between(1, 600, 'seconds', values.seconds),
    keycloak: keycloakHome(),
  });
  process.stdout.write(`${peersTable(results)}\n\n${targetsText(results)}`);
  if (!values.write) return;
  writeResults(results);
  writeDocuments(results);
}

/** Measures the peers, and ends everything that was started, also if it is interrupted. */
async function measure(plan: Plan): Promise<Results> {
  findH2load();
  const cleanups = new Cleanups();
  const interrupted = () => void cleanups.run().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const { rounds, seconds } = plan;
    const date = new Date().toISOString().slice(0, 10);
    const where = `${machine()}, Node ${process.versions.node}`;
    return { date, machine: where, rounds, seconds, ...(await measurePeers(cleanups, plan)) };
  } finally {
    await cleanups.run();
  }
}

function chosen(names: readonly string[]): Plan['works'] {
  for (const name of names) {
    if (!WORKS.some((work) => work === name)) throw new Error(`no work ${name}\n\n${USAGE}`);
  }
  return names.length === 0 ? WORKS : WORKS.filter((work) => names.includes(work));
}

function keycloakHome(): string | undefined {
  const home = process.env['KEYCLOAK_HOME'];
  if (home === undefined || home === '') return undefined;
  if (!existsSync(`${home}/bin/kc.sh`)) throw new Error(`KEYCLOAK_HOME: no bin/kc.sh in ${home}`);
  return home;
}
