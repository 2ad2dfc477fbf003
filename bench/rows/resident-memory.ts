import { setTimeout as sleep } from 'node:timers/promises';
import { againstEcho } from '../load/against-echo.ts';
import { framedRequest, introspections } from '../load/distinct-tokens.ts';
import { introspection } from '../load/introspection.ts';
import { Mint } from '../load/mint.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { type PostgresService, startOnPostgres } from '../service/replica.ts';
import { residentMemory } from '../service/resident-memory.ts';
import { createAccount, startService } from '../service/service.ts';
import { signIns } from './login.ts';

const SETTLE_MS = 5000;
const LOAD_SECONDS = 8;
const QUIET_MS = 60_000;
const PROMISED_IDLE_MIB = 150;
const PROMISED_LOADED_MIB = 350;

/** Measures the resident memory of a service that is started as `npm start` does, garbage included. */
export const residentMemoryRow: FigureRow = {
  name: 'ResidentMemory',
  about:
    'resident memory, garbage included: idle, after sign-ins and token checks, after a minute of quiet; and with the embedded database',
  async figures(cleanups, _options) {
    const embedded = await embeddedFigures(cleanups);
    const service = await startOnPostgres(cleanups, {});
    await sleep(SETTLE_MS);
    const idle = residentMemory(service.pid);
    await load(cleanups, service);
    const loaded = residentMemory(service.pid);
    await sleep(QUIET_MS);
    const quiet = residentMemory(service.pid);
    const unit = 'MiB';
    return [
      { name: 'idle', value: idle, unit, atMost: PROMISED_IDLE_MIB },
      { name: 'after the load', value: loaded, unit, atMost: PROMISED_LOADED_MIB },
      { name: 'after a minute of quiet', value: quiet, unit },
      ...embedded,
    ];
  },
};

/** Signs people in, checks one token, then a new one at each call. */
async function load(cleanups: Cleanups, service: PostgresService): Promise<void> {
  const mint = await Mint.of(service);
  const send = await introspections(service, mint);
  const [oneToken] = await againstEcho(cleanups, service, introspection(await mint.token()));
  const people = await signIns(service.grpcAddress);
  await people.perSecond(LOAD_SECONDS);
  await oneToken.perSecond(LOAD_SECONDS);
  const end = performance.now() + LOAD_SECONDS * 1000;
  await send(() => (performance.now() < end ? mint.token().then(framedRequest) : undefined));
}

async function embeddedFigures(cleanups: Cleanups): Promise<Figure[]> {
  const service = await startService(cleanups, { dataDir: cleanups.directory() });
  await sleep(SETTLE_MS);
  const idle = residentMemory(service.pid);
  await createAccount(service);
  const used = residentMemory(service.pid);
  await service.stop();
  const unit = 'MiB';
  return [
    { name: 'embedded database, idle', value: idle, unit },
    { name: 'embedded database, after a sign-up', value: used, unit },
  ];
}
