import { framed } from '../load/grpc-framing.ts';
import { Mint } from '../load/mint.ts';
import { ME_PATH, startShop } from '../load/shop.ts';
import { sendVaried } from '../load/varied-load.ts';
import { Progress } from '../report/progress.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';
import { COLLECTABLE, settledMemory } from '../service/resident-memory.ts';

const FIRST = 10_000;
/** After this time, the tokens presented so far are what is measured. */
const MAX_MS = 280_000;
const PROMISED = 1.3;
/** The field's tag, its length, and a UUID. */
const ANSWER_BYTES = 2 + 36;

/** Measures whether the memory that a verifier uses for tokens is bounded. */
export const verifierMemory: FigureRow = {
  name: 'VerifierMemory',
  about: `resident memory of a grpc-js server that has verified --tokens distinct tokens, against ${FIRST.toLocaleString('en-US')}`,
  async figures(cleanups, { sizes }) {
    const service = await startOnPostgres(cleanups, {});
    const mint = await (await Mint.of(service)).cheap();
    const { address, pid } = await startShop(cleanups, service, COLLECTABLE);
    const progress = new Progress('tokens presented', sizes.tokens);
    const end = performance.now() + MAX_MS;
    const body = framed(new Uint8Array());
    let presented = 0;
    const figures: Figure[] = [];
    for (const count of [0, FIRST, sizes.tokens / 2, sizes.tokens]) {
      const already = presented;
      const next = () => {
        if (presented >= count || performance.now() > end) return undefined;
        presented += 1;
        progress.at(presented);
        return { body, authorization: `Bearer ${mint.token()}` };
      };
      await sendVaried({ address, path: ME_PATH, next, responseBytes: ANSWER_BYTES });
      if (presented === already && count > 0) break;
      const name = `after ${presented.toLocaleString('en-US')} tokens`;
      figures.push({ name, value: await settledMemory(pid), unit: 'MiB' });
    }
    progress.end();
    const value = (figures.at(-1)?.value ?? Number.NaN) / (figures[1]?.value ?? Number.NaN);
    return [...figures, { name: 'growth', value, unit: '×', atMost: PROMISED }];
  },
};
