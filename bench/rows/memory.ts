import { framedRequest, introspections } from '../load/distinct-tokens.ts';
import { Mint } from '../load/mint.ts';
import { Progress } from '../report/progress.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';
import { COLLECTABLE, settledMemory } from '../service/resident-memory.ts';

const FIRST = 10_000;
/** After this time, the tokens checked so far are what is measured. */
const MAX_MS = 200_000;
const PROMISED = 1.3;

/** Measures whether the memory that the service uses for tokens is bounded. */
export const memory: FigureRow = {
  name: 'Memory',
  about: `resident memory after --tokens distinct tokens, against after ${FIRST.toLocaleString('en-US')}`,
  async figures(cleanups, { sizes }) {
    // Without a CPU profile, which would grow with the run.
    const service = await startOnPostgres(cleanups, { nodeArgs: COLLECTABLE });
    const mint = await Mint.of(service);
    const send = await introspections(service, mint);
    const progress = new Progress('tokens checked', sizes.tokens);
    const end = performance.now() + MAX_MS;
    let asked = 0;
    const figures: Figure[] = [];
    for (const count of [0, FIRST, sizes.tokens / 2, sizes.tokens]) {
      const already = asked;
      await send(() => {
        if (asked >= count || performance.now() > end) return undefined;
        asked += 1;
        progress.at(asked);
        return mint.token().then(framedRequest);
      });
      if (asked === already && count > 0) break;
      const name = `after ${asked.toLocaleString('en-US')} tokens`;
      figures.push({ name, value: await settledMemory(service.pid), unit: 'MiB' });
    }
    progress.end();
    const value = (figures.at(-1)?.value ?? Number.NaN) / (figures[1]?.value ?? Number.NaN);
    return [...figures, { name: 'growth', value, unit: '×', atMost: PROMISED }];
  },
};
