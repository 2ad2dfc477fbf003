import type { Figure, FigureRow } from '../report/row.ts';
import { median } from '../report/statistics.ts';
import { runSql, startServer } from '../service/databases.ts';
import { SeededService } from '../service/seeded-service.ts';

const FEW_ACCOUNTS = 1000;
const WARM_UP_CALLS = 100;
const CALLS = 700;
const PROMISED = 1.2;

const METHODS = ['introspectToken', 'listSessions', 'refreshToken', 'login'] as const;
type Method = (typeof METHODS)[number];

/** Measures whether calls take as long with a million accounts as with a thousand. */
export const growth: FigureRow = {
  name: 'Growth',
  about: `the median of single calls with --accounts and --sessions, against with ${FEW_ACCOUNTS.toLocaleString('en-US')} accounts and as many sessions each; sign-ins with cheap hashes`,
  async figures(cleanups, options) {
    const { accounts, sessions } = options.sizes;
    const server = await startServer(cleanups);
    const few = await SeededService.start(cleanups, options, server, {
      accounts: FEW_ACCOUNTS,
      sessions: Math.round((sessions / accounts) * FEW_ACCOUNTS),
    });
    const many = await SeededService.start(cleanups, options, server, { accounts, sessions });
    // Seeding leaves pages to write, which must not happen during the measurement.
    await runSql(server, 'checkpoint');
    const figures: Figure[] = [];
    for (const method of METHODS) figures.push(...(await compare(method, few, many)));
    return figures;
  },
};

/** Makes one call at a time, in turn, so that other work on the machine disturbs both sides alike. */
async function compare(method: Method, few: SeededService, many: SeededService): Promise<Figure[]> {
  const sides = [few, many].map((service) => ({ service, durations: [] as number[] }));
  for (let turn = 0; turn < WARM_UP_CALLS + CALLS; turn += 1) {
    for (const { service, durations } of sides) {
      // The second check of a token is measured: the first one verifies its signature.
      if (method === 'introspectToken') await service[method](turn);
      const startedAt = performance.now();
      await service[method](turn);
      if (turn >= WARM_UP_CALLS) durations.push(performance.now() - startedAt);
    }
  }
  const [withFew = Number.NaN, withMany = Number.NaN] = sides.map(({ durations }) =>
    median(durations),
  );
  const name = method.charAt(0).toUpperCase() + method.slice(1);
  return [
    { name: `${name}, ${few.accounts.toLocaleString('en-US')}`, value: withFew, unit: 'ms' },
    { name: `${name}, ${many.accounts.toLocaleString('en-US')}`, value: withMany, unit: 'ms' },
    { name: `${name}, growth`, value: withMany / withFew, unit: '×', atMost: PROMISED },
  ];
}
