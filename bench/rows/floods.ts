import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWERS_ON_MANY, ANSWERS_ON_ONE } from '../../test/rpc/floods/answers.ts';
import { COMPRESSED } from '../../test/rpc/floods/compressed.ts';
import { type Flood, waysOf } from '../../test/rpc/floods/flood.ts';
import { OAUTH } from '../../test/rpc/floods/oauth.ts';
import { BEGUN, REQUESTS } from '../../test/rpc/floods/requests.ts';
import { RawHttp2 } from '../../test/rpc/frames.ts';
import { Progress } from '../report/progress.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { Cleanups } from '../service/cleanups.ts';
import { startDatabase } from '../service/databases.ts';
import { startReplica } from '../service/replica.ts';
import { residentMemory } from '../service/resident-memory.ts';

const ALL = [...BEGUN, ...REQUESTS, ...COMPRESSED, ...ANSWERS_ON_ONE, ...ANSWERS_ON_MANY, ...OAUTH];
const PROMISED_BYTES = 100e6;
/** From the service's start until its memory at rest is read, and from a flood's end to the last reading. */
const SETTLE_MS = 1000;
const READING_MS = 50;

/** Measures how far the service grows while callers without a credential flood it (W15). */
export const floods: FigureRow = {
  name: 'Floods',
  about: 'the most resident memory during each flood by strangers, above that at rest',
  async figures(cleanups, _options) {
    const databaseUrl = await startDatabase(cleanups);
    const progress = new Progress('floods', ALL.length);
    const figures: Figure[] = [];
    for (const flood of ALL) {
      const value = await growth(databaseUrl, flood);
      figures.push({ name: flood.title, value, unit: 'MiB', atMost: PROMISED_BYTES / 2 ** 20 });
      progress.at(figures.length);
    }
    progress.end();
    return figures;
  },
};

/** What a flood adds (MiB) to the memory of a service that has served nothing else. */
async function growth(databaseUrl: string, flood: Flood): Promise<number> {
  const cleanups = new Cleanups();
  try {
    const service = await startReplica(cleanups, databaseUrl, {});
    await sleep(SETTLE_MS);
    const atRest = residentMemory(service.pid);
    let most = atRest;
    const reading = setInterval(() => {
      most = Math.max(most, residentMemory(service.pid));
    }, READING_MS);
    cleanups.add(() => clearInterval(reading));
    const keep = (raw: RawHttp2) => {
      cleanups.add(() => raw.destroy());
      return raw;
    };
    await flood.attack({
      ways: waysOf({ ...service, httpAddress: new URL(service.publicUrl).host }),
      connect: async (address) => keep(await RawHttp2.to(address)),
      connectDeaf: async (address) => keep(await RawHttp2.toDeaf(address)),
      connectSilent: async (address) => keep(await RawHttp2.toSilent(address)),
    });
    await sleep(SETTLE_MS);
    return Math.max(most, residentMemory(service.pid)) - atRest;
  } finally {
    await cleanups.run();
  }
}
