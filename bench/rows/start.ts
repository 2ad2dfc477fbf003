import { spawnSync } from 'node:child_process';
import { introspection } from '../load/introspection.ts';
import { ask } from '../load/question.ts';
import { Progress } from '../report/progress.ts';
import type { FigureRow } from '../report/row.ts';
import { median } from '../report/statistics.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { startService } from '../service/service.ts';

const STARTS = 5;
const PROMISED_EXISTING_MS = 1500;
const PROMISED_NEW_MS = 3000;

/** Measures how soon a service with the embedded database answers its first call. */
export const start: FigureRow = {
  name: 'Start',
  about: `from the start of the service with its embedded database to the first answered call, beyond \`node -e 0\`; the median of ${STARTS}`,
  async figures(cleanups, _options) {
    const existing = cleanups.directory();
    // The first start also fills what later ones find compiled.
    await untilAnswered(cleanups, existing);
    const found = { node: [] as number[], existing: [] as number[], new: [] as number[] };
    const progress = new Progress('starts of each kind', STARTS);
    for (let turn = 0; turn < STARTS; turn += 1) {
      found.node.push(emptyProgram());
      found.existing.push(await untilAnswered(cleanups, existing));
      found.new.push(await untilAnswered(cleanups, cleanups.directory()));
      progress.at(turn + 1);
    }
    progress.end();
    const node = median(found.node);
    const unit = 'ms';
    return [
      { name: 'node -e 0', value: node, unit },
      {
        name: 'existing database, beyond it',
        value: median(found.existing) - node,
        unit,
        atMost: PROMISED_EXISTING_MS,
      },
      {
        name: 'new database, beyond it',
        value: median(found.new) - node,
        unit,
        atMost: PROMISED_NEW_MS,
      },
    ];
  },
};

/** The time (ms) that node takes to start and end. */
function emptyProgram(): number {
  const startedAt = performance.now();
  spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return performance.now() - startedAt;
}

/** Starts a service, asks it about a token that is none, and stops it. Returns when it answered (ms). */
async function untilAnswered(cleanups: Cleanups, dataDir: string): Promise<number> {
  const startedAt = performance.now();
  const service = await startService(cleanups, { dataDir });
  const question = introspection('not-a-token');
  await ask(service.grpcAddress, { ...question, isRight: ({ active }) => !active });
  const took = performance.now() - startedAt;
  await service.stop();
  return took;
}
