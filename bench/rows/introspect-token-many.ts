import assert from 'node:assert/strict';
import { framedRequest, introspections, type SendIntrospections } from '../load/distinct-tokens.ts';
import { ask } from '../load/introspection.ts';
import { Mint } from '../load/mint.ts';
import type { Contestant, Row } from '../report/row.ts';
import { perSecond } from '../report/table.ts';
import { type PostgresService, startOnPostgres } from '../service/replica.ts';

const TOKENS = 10_000;
const WARM_UP_MS = 2000;

/** Measures whether the check of a known token costs the same however many are known. */
export const introspectTokenMany: Row = {
  name: 'IntrospectTokenMany',
  about: 'SessionService/IntrospectToken of 10,000 tokens in rotation, against one of them',
  target: 0.85,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const mint = await Mint.of(service);
    const send = await introspections(service, mint);
    const one = contestant(service, send, 'one token', [await mint.token()]);
    await one.perSecond(1);
    const tokens = await Promise.all(Array.from({ length: TOKENS }, () => mint.token()));
    const cold = await firstSight(send, tokens);
    process.stderr.write(`  first sight of each: ${perSecond(cold)}/s\n`);
    return [contestant(service, send, '10,000 tokens', tokens), one];
  },
};

/**
 * Returns the checks per second of tokens that are new to the service, which verifies their signatures.
 */
async function firstSight(send: SendIntrospections, tokens: readonly string[]): Promise<number> {
  const bodies = tokens.map(framedRequest).values();
  return (await send(() => bodies.next().value)).perSecond;
}

function contestant(
  { grpcAddress }: PostgresService,
  send: SendIntrospections,
  name: string,
  tokens: readonly string[],
): Contestant {
  const bodies = tokens.map(framedRequest);
  let turn = 0;
  const sendFor = async (ms: number) => {
    const end = performance.now() + ms;
    return send(() => (performance.now() < end ? bodies[turn++ % bodies.length] : undefined));
  };
  return {
    name,
    async check() {
      const { active } = await ask(grpcAddress, { token: tokens.at(-1) ?? '' });
      assert.ok(active, `${name}: not active`);
    },
    async perSecond(seconds) {
      await sendFor(WARM_UP_MS);
      return (await sendFor(seconds * 1000)).perSecond;
    },
  };
}
