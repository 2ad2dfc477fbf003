import { setTimeout as sleep } from 'node:timers/promises';
import { WebhookTarget } from '../load/webhook-target.ts';
import type { Figure, FigureRow } from '../report/row.ts';
import { addDeliveries, addWebhooks, setWebhooks } from '../seed/webhooks.ts';
import { runSql } from '../service/databases.ts';
import { startOnPostgres } from '../service/replica.ts';
import { COLLECTABLE, settledMemory } from '../service/resident-memory.ts';

const COUNTS = [100, 1000];
const MESSAGES = 20;
/** Several attempts after each other, each of which lasts 15 seconds. */
const HANGING_MS = 35_000;
const PROMISED = 1.3;

/** Measures whether the memory of a replica is bounded that sends to targets that never answer. */
export const webhookMemory: FigureRow = {
  name: 'WebhookMemory',
  about: `resident memory while ${COUNTS.join(' and ')} targets hang with ${MESSAGES} messages each`,
  async figures(cleanups) {
    const target = await WebhookTarget.start(cleanups);
    const service = await startOnPostgres(cleanups, { nodeArgs: COLLECTABLE, env: target.env });
    const { databaseUrl, pid } = service;
    const figures: Figure[] = [{ name: 'at rest', value: await settledMemory(pid), unit: 'MiB' }];
    for (const count of COUNTS) {
      await runSql(databaseUrl, 'delete from webhooks');
      const urls = Array.from({ length: count }, (_, n) => `${target.url}/hang/${n}`);
      await addWebhooks(databaseUrl, urls);
      await addDeliveries(databaseUrl, MESSAGES);
      await setWebhooks(databaseUrl, 'enabled');
      await sleep(HANGING_MS);
      const value = await settledMemory(pid);
      figures.push({ name: `${count} targets hang`, value, unit: 'MiB' });
    }
    const value = (figures[2]?.value ?? Number.NaN) / (figures[1]?.value ?? Number.NaN);
    return [...figures, { name: 'growth', value, unit: '×', atMost: PROMISED }];
  },
};
