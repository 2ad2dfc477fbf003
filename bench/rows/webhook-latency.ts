import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { signUpPeople } from '../load/people.ts';
import { WebhookTarget } from '../load/webhook-target.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { median, percentile } from '../report/statistics.ts';
import { addWebhooks, setWebhooks } from '../seed/webhooks.ts';
import { runSql } from '../service/databases.ts';
import { startOnPostgres } from '../service/replica.ts';

const GOOD = 9;
/** Messages a second, to all targets together. */
const PER_SECOND = 30;
const PROMISED = 1.2;
const LATE_MS = 10_000;
/** The calls are not what is measured. */
const PATIENT = {
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '10s',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '10s',
};

/** How long messages to nine targets take, while a tenth answers and while it hangs. */
export const webhookLatency: FigureRow = {
  name: 'WebhookLatency',
  about: `p99 from TestWebhook until ${GOOD} targets have the message, while a tenth hangs, against while it answers`,
  async figures(cleanups, options) {
    const { rounds = 5, seconds = 5 } = options as { rounds?: number; seconds?: number };
    const target = await WebhookTarget.start(cleanups);
    const service = await startOnPostgres(cleanups, {
      ...options,
      env: { ...target.env, ...PATIENT },
    });
    const { databaseUrl } = service;
    const people = await signUpPeople(service.grpcAddress);
    await runSql(databaseUrl, "update accounts set roles = '{user,admin}'");
    const { accessToken } = await people.signIn();
    const client = createClient(
      WebhookService,
      createGrpcTransport({ baseUrl: `http://${service.grpcAddress}` }),
    );
    const headers = { authorization: `Bearer ${accessToken}` };
    const test = (webhookId: string) => client.testWebhook({ webhookId }, { headers });
    const urls = [...Array(GOOD).keys(), 'tenth'].map((n) => `${target.url}/hook/${n}`);
    await addWebhooks(databaseUrl, urls);
    await setWebhooks(databaseUrl, 'enabled');
    const p99s: Record<'hook' | 'hang', number[]> = { hook: [], hang: [] };
    for (let round = 0; round <= rounds; round += 1) {
      for (const kind of ['hook', 'hang'] as const) {
        await runSql(
          databaseUrl,
          `update webhooks set url = $1, failing_since = null, pause_until = null
           where url like '%/tenth'`,
          [`${target.url}/${kind}/tenth`],
        );
        const times = await latencies(target, test, await idsIn(databaseUrl), seconds);
        // The first round warms up.
        if (round > 0) p99s[kind].push(percentile(times, 0.99));
      }
    }
    return figuresOf(p99s);
  },
};

function figuresOf({ hook, hang }: Record<'hook' | 'hang', number[]>): Figure[] {
  const ratios = hang.map((p99, round) => p99 / (hook[round] ?? Number.NaN));
  return [
    { name: 'p99 while all answer', value: median(hook), unit: 'ms' },
    { name: 'p99 while one hangs', value: median(hang), unit: 'ms' },
    { name: 'the two', value: median(ratios), unit: '×', atMost: PROMISED },
  ];
}

/** The webhooks, the tenth last. */
async function idsIn(databaseUrl: string): Promise<string[]> {
  const rows = await runSql<{ id: string }>(
    databaseUrl,
    "select id from webhooks order by url like '%/tenth', id",
  );
  return rows.map(({ id }) => id);
}

/** How long messages to all targets but the last took (ms); those to the last are sent all the same. */
async function latencies(
  target: WebhookTarget,
  test: (id: string) => Promise<{ delivery?: { deliveryId: string } | undefined }>,
  ids: readonly string[],
  seconds: number,
): Promise<number[]> {
  const arrived = new Map<string, number>();
  target.onMessage = (id) => arrived.set(id, performance.now());
  const sent: Promise<{ id: string; at: number; counts: boolean }>[] = [];
  for (let n = 0; n < seconds * PER_SECOND; n += 1) {
    const place = n % ids.length;
    const at = performance.now();
    const counts = place < ids.length - 1;
    const made = test(ids[place] ?? '');
    sent.push(made.then(({ delivery }) => ({ id: delivery?.deliveryId ?? '', at, counts })));
    await sleep(1000 / PER_SECOND);
  }
  const counted = (await Promise.all(sent)).filter(({ counts }) => counts);
  const end = performance.now() + LATE_MS;
  const isMissing = () => counted.some(({ id }) => !arrived.has(id));
  while (isMissing() && performance.now() < end) await sleep(20);
  return counted.map(({ id, at }) => (arrived.get(id) ?? Number.POSITIVE_INFINITY) - at);
}
