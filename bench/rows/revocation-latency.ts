import { setTimeout as sleep } from 'node:timers/promises';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { redis, type Server } from '../../test/servers.ts';
import { type People, signUpPeople } from '../load/people.ts';
import {
  type Sessions,
  sessionsOf,
  TIMEOUT_MS,
  watchRevocations,
} from '../load/revocation-reader.ts';
import { Progress } from '../report/progress.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { percentile } from '../report/statistics.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { startDatabase } from '../service/databases.ts';
import { CHEAP_HASHING } from '../service/passwords.ts';
import { startReplica } from '../service/replica.ts';

const PROMISED_P99_MS = 250;
const PROMISED_MAX_MS = 1000;
/** The longest pause before a revocation, so that it falls anywhere between two looks at the table. */
const MAX_PAUSE_MS = 250;

/** Measures how soon a revocation that one replica has acknowledged takes effect at another one. */
export const revocationLatency: FigureRow = {
  name: 'RevocationLatency',
  about:
    'from an acknowledged RevokeSession until another replica, and a WatchRevocations reader there, know',
  async figures(cleanups, { sizes }) {
    const databaseUrl = await startDatabase(cleanups);
    const without = await latencies(cleanups, databaseUrl, sizes.revocations);
    const server = await redis().catch((error: Error) => error.message);
    if (typeof server === 'string') {
      process.stderr.write(`  without Redis only: ${server}\n`);
      return figuresOf('without Redis', without);
    }
    const shared = await withRedis(cleanups, databaseUrl, server, sizes.revocations);
    return [...figuresOf('without Redis', without), ...figuresOf('with Redis', shared)];
  },
};

function withRedis(
  cleanups: Cleanups,
  databaseUrl: string,
  server: Server,
  count: number,
): Promise<Latencies> {
  cleanups.add(() => server.stop());
  return latencies(cleanups, databaseUrl, count, { REDIS_URL: server.url });
}

/** Latencies (ms), one of each kind for each revocation. */
type Latencies = { introspection: number[]; watcher: number[] };

/** Revokes one session after another at one of two replicas. */
async function latencies(
  cleanups: Cleanups,
  databaseUrl: string,
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<Latencies> {
  const options = { env: { ...CHEAP_HASHING, ...settings } };
  const near = await startReplica(cleanups, databaseUrl, options);
  const far = await startReplica(cleanups, databaseUrl, options);
  const people = await signUpPeople(near.grpcAddress);
  const [revoker, checker] = [sessionsOf(near.grpcAddress), sessionsOf(far.grpcAddress)];
  const reader = await watchRevocations(cleanups, sessionsOf(far.grpcAddress));
  const found: Latencies = { introspection: [], watcher: [] };
  const progress = new Progress(settings['REDIS_URL'] ? 'with Redis' : 'without Redis', count);
  for (let done = 0; done < count; done += 1) {
    const tokens = await liveTokens(people, checker);
    await sleep(Math.random() * MAX_PAUSE_MS);
    const ackedAt = await revoke(revoker, tokens);
    const [inactiveAt, seenAt] = await Promise.all([
      waitUntilInactive(checker, tokens.accessToken),
      reader.seenAt(tokens.sessionId),
    ]);
    // The other replica may know before the caller has its answer.
    found.introspection.push(Math.max(0, inactiveAt - ackedAt));
    found.watcher.push(Math.max(0, seenAt - ackedAt));
    progress.at(done + 1);
  }
  progress.end();
  await Promise.all([near.stop(), far.stop()]);
  return found;
}

/** Signs in, and makes the other replica check the token, which it remembers as valid. */
async function liveTokens(people: People, checker: Sessions): Promise<Tokens> {
  const tokens = await people.signIn();
  const { active } = await checker.introspectToken({ token: tokens.accessToken });
  if (!active) throw new Error('a token of a new session is not active');
  return tokens;
}

/** Revokes the session. Returns when the call was acknowledged (ms). */
async function revoke(revoker: Sessions, { accessToken, sessionId }: Tokens): Promise<number> {
  const headers = { authorization: `Bearer ${accessToken}` };
  await revoker.revokeSession({ sessionId }, { headers });
  return performance.now();
}

/** Repeats the check until the token is inactive. Returns when that was (ms). */
async function waitUntilInactive(checker: Sessions, token: string): Promise<number> {
  for (const end = performance.now() + TIMEOUT_MS; performance.now() < end; ) {
    const { active } = await checker.introspectToken({ token });
    if (!active) return performance.now();
    // With a pause: a replica that is kept busy learns of it later.
    await sleep(1);
  }
  throw new Error(`a revoked token is still active after ${TIMEOUT_MS} ms`);
}

function figuresOf(where: string, { introspection, watcher }: Latencies): Figure[] {
  return [
    ...figuresAt(`introspection ${where}`, introspection),
    ...figuresAt(`watcher ${where}`, watcher),
  ];
}

function figuresAt(name: string, found: readonly number[]): Figure[] {
  const unit = 'ms';
  return [
    { name: `${name}, p50`, value: percentile(found, 0.5), unit },
    { name: `${name}, p99`, value: percentile(found, 0.99), unit, atMost: PROMISED_P99_MS },
    { name: `${name}, max`, value: percentile(found, 1), unit, atMost: PROMISED_MAX_MS },
  ];
}
