import { setTimeout as sleep } from 'node:timers/promises';
import { openStreams } from '../load/open-streams.ts';
import { signUpPeople } from '../load/people.ts';
import { sessionsOf } from '../load/revocation-reader.ts';
import { startShop, WATCH_PATH } from '../load/shop.ts';
import { Progress } from '../report/progress.ts';
import type { FigureRow } from '../report/row.ts';
import { percentile } from '../report/statistics.ts';
import { startDatabase } from '../service/databases.ts';
import { CHEAP_HASHING } from '../service/passwords.ts';
import { startReplica } from '../service/replica.ts';

const STREAMS = 10_000;
const TIMES = 5;
const PROMISED_P99_MS = 250;
const PROMISED_MAX_MS = 1000;
/** The longest pause before a revocation, so that it falls anywhere between two looks at the table. */
const MAX_PAUSE_MS = 250;

/** Measures how soon the streams of a service of somebody else's end when a session does. */
export const verifierStreams: FigureRow = {
  name: 'VerifierStreams',
  about: `from an acknowledged RevokeSession until the last of ${STREAMS.toLocaleString('en-US')} streams that its token opened at a verifying grpc-js server, which follows another replica, has ended`,
  async figures(cleanups) {
    const databaseUrl = await startDatabase(cleanups);
    const options = { env: { ...CHEAP_HASHING } };
    const near = await startReplica(cleanups, databaseUrl, options);
    const far = await startReplica(cleanups, databaseUrl, options);
    const shop = await startShop(cleanups, far);
    const people = await signUpPeople(near.grpcAddress);
    const revoker = sessionsOf(near.grpcAddress);
    const found: number[] = [];
    const progress = new Progress('sessions revoked', TIMES);
    for (let done = 0; done < TIMES; done += 1) {
      const { accessToken, sessionId } = await people.signIn();
      const authorization = `Bearer ${accessToken}`;
      const load = { address: shop.address, path: WATCH_PATH, authorization, count: STREAMS };
      const streams = await openStreams(load);
      await sleep(Math.random() * MAX_PAUSE_MS);
      await revoker.revokeSession({ sessionId }, { headers: { authorization } });
      const acknowledgedAt = performance.now();
      // The first may end before the caller has its answer.
      for (const at of await streams.ended) found.push(Math.max(0, at - acknowledgedAt));
      progress.at(done + 1);
    }
    progress.end();
    const unit = 'ms';
    return [
      { name: 'p50', value: percentile(found, 0.5), unit },
      { name: 'p99', value: percentile(found, 0.99), unit, atMost: PROMISED_P99_MS },
      { name: 'max', value: percentile(found, 1), unit, atMost: PROMISED_MAX_MS },
    ];
  },
};
