import { median } from '../report/percentile.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { Grown } from '../seed/grown.ts';
import { runSql, startServer } from '../service/postgres.ts';

const FEW_ACCOUNTS = 1000;
const WARM_UP_CALLS = 100;
const CALLS = 700;
const PROMISED = 1.2;

const METHODS = ['introspectToken', 'listSessions', 'refreshToken', 'login'] as const;
type Method = (typeof METHODS)[number];

/** Whether calls take as long with a million accounts as with a thousand. */
export const growth: FigureRow = {
  name: 'Growth',
  about: `the median of single calls with --accounts and --sessions, against with ${FEW_ACCOUNTS.toLocaleString('en-US')} accounts and as many sessions each; sign-ins with cheap hashes`,
  async figures(cleanups, options) {
    const { accounts, sessions } = options.sizes;
    const server = await startServer(cleanups);
    const few = await Grown.start(cleanups, options, server, {
      accounts: FEW_ACCOUNTS,
      sessions: Math.round((sessions / accounts) * FEW_ACCOUNTS),
    });
    const many = await Grown.start(cleanups, options, server, { accounts, sessions });
    // What seeding has left to be written must not be written meanwhile.
    await runSql(server, 'checkpoint');
    const figures: Figure[] = [];
    for (const method of METHODS) figures.push(...(await compare(method, few, many)));
    return figures;
  },
};

/** One call at a time, in turn, so that what else the machine is doing disturbs both alike. */
async function compare(method: Method, few: Grown, many: Grown): Promise<Figure[]> {
  const sides = [few, many].map((grown) => ({ grown, durations: [] as number[] }));
  for (let turn = 0; turn < WARM_UP_CALLS + CALLS; turn += 1) {
    for (const { grown, durations } of sides) {
      // The second look at a token: the first one verifies its signature.
      if (method === 'introspectToken') await grown[method](turn);
      const startedAt = performance.now();
      await grown[method](turn);
      if (turn >= WARM_UP_CALLS) durations.push(performance.now() - startedAt);
    }
  }
  const [little = Number.NaN, much = Number.NaN] = sides.map(({ durations }) => median(durations));
  const name = method.charAt(0).toUpperCase() + method.slice(1);
  return [
    { name: `${name}, ${few.accounts.toLocaleString('en-US')}`, value: little, unit: 'ms' },
    { name: `${name}, ${many.accounts.toLocaleString('en-US')}`, value: much, unit: 'ms' },
    { name: `${name}, growth`, value: much / little, unit: '×', atMost: PROMISED },
  ];
}
