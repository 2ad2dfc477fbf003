import { setTimeout as sleep } from 'node:timers/promises';
import { pacedLatencies } from '../load/paced.ts';
import { median, percentile } from '../report/statistics.ts';
import { perSecond } from '../report/table.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { startServer } from '../service/databases.ts';
import { startBetterAuth } from './better-auth.ts';
import { startCountersign } from './countersign.ts';
import { startKeycloak } from './keycloak.ts';
import { startOidcProvider } from './oidc-provider.ts';
import { installPeers, type Peer, type Work } from './peer.ts';
import type { Measured, Results } from './results.ts';

const SETTLE_MS = 5000;
const CHECKS_PER_SECOND = 500;

export type Plan = {
  works: readonly Work[];
  rounds: number;
  seconds: number;
  /** The folder of an unpacked Keycloak. */
  keycloak: string | undefined;
};

/** Starts all peers on one PostgreSQL and measures them in turn: A B C, A B C … */
export async function measurePeers(
  cleanups: Cleanups,
  plan: Plan,
): Promise<Pick<Results, 'versions' | 'works' | 'memory' | 'latency'>> {
  const peers = await startPeers(cleanups, plan);
  await sleep(SETTLE_MS);
  const idle = peers.map((peer) => peer.memory());
  const works: Results['works'] = {};
  for (const work of plan.works) {
    works[work] = await inTurn(
      work,
      peers.flatMap((peer) => peer.works[work] ?? []),
      plan,
    );
  }
  const latency = await latencies(peers, plan);
  const memory = peers.map((peer, index) => ({
    name: peer.name,
    idle: idle[index] ?? Number.NaN,
    after: peer.memory(),
  }));
  const versions = Object.fromEntries(peers.map(({ name, version }) => [name, version]));
  return { versions, works, memory, latency };
}

async function startPeers(cleanups: Cleanups, { keycloak }: Plan): Promise<Peer[]> {
  await installPeers();
  const server = await startServer(cleanups);
  const peers = [await startCountersign(cleanups, server)];
  if (keycloak === undefined) {
    process.stderr.write(
      'without Keycloak: name the folder of its unpacked archive in KEYCLOAK_HOME, and have Java\n',
    );
  } else {
    peers.push(await startKeycloak(cleanups, server, keycloak));
  }
  peers.push(await startBetterAuth(cleanups, server));
  peers.push(await startOidcProvider(cleanups, server, 'memory'));
  peers.push(await startOidcProvider(cleanups, server, 'PostgreSQL'));
  return peers;
}

type Side = { name: string; check(): Promise<void>; measure(): Promise<number> };

async function inTurn(
  work: Work,
  contestants: NonNullable<Peer['works'][Work]>,
  { rounds, seconds }: Plan,
): Promise<Measured[]> {
  const sides = contestants.map((contestant) => ({
    ...contestant,
    measure: () => contestant.perSecond(seconds),
  }));
  return rounded(work, sides, rounds, (value) => `${perSecond(value)}/s`);
}

function latencies(peers: readonly Peer[], { rounds, seconds }: Plan): Promise<Measured[]> {
  const sides = peers
    .flatMap((peer) => peer.checks)
    .map((single) => ({
      ...single,
      async measure() {
        const pace = { perSecond: CHECKS_PER_SECOND, seconds };
        return percentile(await pacedLatencies(single.check, pace), 0.99);
      },
    }));
  return rounded('p99 at 500/s', sides, rounds, (value) => `${value.toFixed(1)} ms`);
}

/**
 * Measures each side once in every round. The result of each is the median of its rounds. A round before
 * them does not count: Java and JavaScript compile what they have run for a while.
 */
async function rounded(
  what: string,
  sides: readonly Side[],
  rounds: number,
  show: (value: number) => string,
): Promise<Measured[]> {
  const found = sides.map(({ name }) => ({ name, rounds: [] as number[] }));
  for (const side of sides) await side.check();
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, side] of sides.entries()) {
      const value = await side.measure();
      if (round === 0) continue;
      process.stderr.write(`${what} ${round}/${rounds}  ${side.name}: ${show(value)}\n`);
      found[index]?.rounds.push(value);
    }
  }
  for (const side of sides) await side.check();
  return found.map(({ name, rounds: values }) => ({ name, value: median(values), rounds: values }));
}
