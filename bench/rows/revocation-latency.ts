import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { redis, type Server } from '../../test/servers.ts';
import { percentile } from '../report/percentile.ts';
import { Progress } from '../report/progress.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { CHEAP_PASSWORDS, type People, signInsOf } from '../seed/people.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { startDatabase, startReplica } from '../service/postgres.ts';

const PROMISED_P99_MS = 250;
const PROMISED_MAX_MS = 1000;
/** A revocation that has not been seen after this long is not going to be. */
const GIVEN_UP_MS = 10_000;
/** Replicas look at the table four times a second: revocations come at any time between two looks. */
const MAX_PAUSE_MS = 250;
type Sessions = Client<typeof SessionService>;

/** How soon a revocation that one replica has acknowledged is seen at another one. */
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

/** Milliseconds, one of each kind for each revocation. */
type Latencies = { introspection: number[]; watcher: number[] };

/** Revokes one session after another at one of two replicas. */
async function latencies(
  cleanups: Cleanups,
  databaseUrl: string,
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<Latencies> {
  const options = { env: { ...CHEAP_PASSWORDS, ...settings } };
  const near = await startReplica(cleanups, databaseUrl, options);
  const far = await startReplica(cleanups, databaseUrl, options);
  const people = await signInsOf(near.grpcAddress);
  const [revoker, checker] = [sessionsOf(near.grpcAddress), sessionsOf(far.grpcAddress)];
  const reader = await watch(cleanups, sessionsOf(far.grpcAddress));
  const found: Latencies = { introspection: [], watcher: [] };
  const progress = new Progress(settings['REDIS_URL'] ? 'with Redis' : 'without Redis', count);
  for (let done = 0; done < count; done += 1) {
    const tokens = await liveTokens(people, checker);
    await sleep(Math.random() * MAX_PAUSE_MS);
    const ackedAt = await revoke(revoker, tokens);
    const [seenAt, toldAt] = await Promise.all([
      inactive(checker, tokens.accessToken),
      reader.toldAt(tokens.sessionId),
    ]);
    // The other one may know before the caller has its answer.
    found.introspection.push(Math.max(0, seenAt - ackedAt));
    found.watcher.push(Math.max(0, toldAt - ackedAt));
    progress.at(done + 1);
  }
  progress.end();
  await Promise.all([near.stop(), far.stop()]);
  return found;
}

function sessionsOf(address: string): Sessions {
  return createClient(SessionService, createGrpcTransport({ baseUrl: `http://${address}` }));
}

/** Signs in. The other replica has seen the token, and holds it for valid. */
async function liveTokens(people: People, checker: Sessions): Promise<Tokens> {
  const tokens = await people.signIn();
  const { active } = await checker.introspectToken({ token: tokens.accessToken });
  if (!active) throw new Error('a token of a new session is not active');
  return tokens;
}

/** Gives when the call was acknowledged. */
async function revoke(revoker: Sessions, { accessToken, sessionId }: Tokens): Promise<number> {
  const headers = { authorization: `Bearer ${accessToken}` };
  await revoker.revokeSession({ sessionId }, { headers });
  return performance.now();
}

/** Asks again and again until the token is inactive, and gives when that was. */
async function inactive(checker: Sessions, token: string): Promise<number> {
  for (const end = performance.now() + GIVEN_UP_MS; performance.now() < end; ) {
    const { active } = await checker.introspectToken({ token });
    if (!active) return performance.now();
    // Not without a pause: a replica that is kept busy hears later.
    await sleep(1);
  }
  throw new Error(`a revoked token is still active after ${GIVEN_UP_MS} ms`);
}

/** A reader of the feed that notes when it was told of what. */
class Reader {
  readonly #toldAt = new Map<string, number>();
  readonly #waiting = new Map<string, (at: number) => void>();

  async read(sessions: Sessions, signal: AbortSignal, caughtUp: () => void): Promise<void> {
    for await (const { event } of sessions.watchRevocations({ cursor: '' }, { signal })) {
      if (event.case === 'checkpoint') caughtUp();
      if (event.case === 'revocation' && event.value.target.case === 'sessionId') {
        this.#told(event.value.target.value, performance.now());
      }
    }
  }

  #told(sessionId: string, at: number): void {
    this.#toldAt.set(sessionId, at);
    this.#waiting.get(sessionId)?.(at);
  }

  /** When it was told of a session's revocation. */
  async toldAt(sessionId: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const told = this.#toldAt.get(sessionId);
    if (told !== undefined) return told;
    this.#waiting.set(sessionId, resolve);
    const late = new Error(`a revocation has not been told after ${GIVEN_UP_MS} ms`);
    const timer = setTimeout(() => reject(late), GIVEN_UP_MS);
    return promise.finally(() => clearTimeout(timer));
  }
}

/** A connected reader that has been told what was in force. */
async function watch(cleanups: Cleanups, sessions: Sessions): Promise<Reader> {
  const leaving = new AbortController();
  cleanups.add(() => leaving.abort());
  const { promise: caughtUp, resolve, reject } = Promise.withResolvers<void>();
  const reader = new Reader();
  // After the beginning, a stream that ends shows as a revocation that is never told.
  reader.read(sessions, leaving.signal, resolve).catch(reject);
  await caughtUp;
  return reader;
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
