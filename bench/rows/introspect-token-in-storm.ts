import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { againstEcho } from '../load/against-echo.ts';
import { introspection } from '../load/introspection.ts';
import { signUpPeople } from '../load/people.ts';
import type { Row } from '../report/row.ts';
import { percentile } from '../report/statistics.ts';
import { startOnPostgres } from '../service/replica.ts';

const AT_ONCE = 64;
/** The time between two calls: long enough that they don't wait for each other. */
const PACE_MS = 5;
const WARM_UP_MS = 3000;
const PROMISED_P99_MS = 25;

/** Measures token checks while 64 sign-ins are running at all times. */
export const introspectTokenInStorm: Row = {
  name: 'IntrospectTokenInStorm',
  about:
    'SessionService/IntrospectToken while 64 sign-ins wait at all times, against itself without them; half of a fair share of two cores is 0.25',
  target: 0.25,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const people = await signUpPeople(service.grpcAddress);
    const { accessToken: token } = await people.signIn();
    const [idle] = await againstEcho(cleanups, service, introspection(token));
    const inStorm = {
      ...idle,
      name: 'during sign-ins',
      async perSecond(seconds: number) {
        const storm = people.storm(AT_ONCE);
        await sleep(WARM_UP_MS);
        const p99 = await p99Ms(service.grpcAddress, token, seconds);
        process.stderr.write(
          `  p99 ${p99.toFixed(1)} ms at ${1000 / PACE_MS}/s, promised < ${PROMISED_P99_MS} ms\n`,
        );
        return idle.perSecond(seconds).finally(() => storm.stop());
      },
    };
    return [inStorm, { ...idle, name: 'without' }];
  },
};

async function p99Ms(address: string, token: string, seconds: number): Promise<number> {
  const baseUrl = `http://${address}`;
  const sessions = createClient(SessionService, createGrpcTransport({ baseUrl }));
  const latencies: number[] = [];
  const pending: Promise<unknown>[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const from = performance.now();
    const answered = sessions.introspectToken({ token });
    pending.push(answered.then(() => latencies.push(performance.now() - from)));
    await sleep(PACE_MS);
  }
  await Promise.all(pending);
  return percentile(latencies, 0.99);
}
