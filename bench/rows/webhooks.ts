import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebhookTarget } from '../load/webhook-target.ts';
import type { Contestant, Row } from '../report/row.ts';
import {
  addDeliveries,
  addWebhooks,
  forgetDeliveries,
  PAYLOAD,
  setWebhooks,
} from '../seed/webhooks.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { stop } from '../service/cleanups.ts';
import { runSql } from '../service/databases.ts';
import { startOnPostgres } from '../service/replica.ts';

/** Of a lane whose target answers. */
const AT_ONCE = 4;
/** More than can be delivered. */
const PER_SECOND = 1500;

/** Each message leaves on a connection of its own, so most of the work is that of TLS, for both. */
export const webhooks: Row = {
  name: 'Webhooks',
  about: `messages to one target over TLS, ${AT_ONCE} at once, PostgreSQL, against node:https that posts the same bytes`,
  target: 0.6,
  async prepare(cleanups, options) {
    const target = await WebhookTarget.start(cleanups);
    const { databaseUrl } = await startOnPostgres(cleanups, { ...options, env: target.env });
    await addWebhooks(databaseUrl, [`${target.url}/hook`]);
    return [ours(databaseUrl, target), bare(cleanups, target)];
  },
};

function ours(databaseUrl: string, target: WebhookTarget): Contestant {
  return {
    name: 'Countersign',
    async check() {
      await addDeliveries(databaseUrl, 10);
      const answered = target.answered;
      await setWebhooks(databaseUrl, 'enabled');
      while (target.answered < answered + 10) await sleep(20);
      const written = "select 1 from webhook_deliveries where state = 'succeeded'";
      while ((await runSql(databaseUrl, written)).length < 10) await sleep(20);
      await setWebhooks(databaseUrl, 'paused');
      await forgetDeliveries(databaseUrl);
    },
    async perSecond(seconds) {
      await addDeliveries(databaseUrl, PER_SECOND * (seconds + 1));
      await setWebhooks(databaseUrl, 'enabled');
      const rate = await rateAt(target, seconds);
      await setWebhooks(databaseUrl, 'paused');
      await sleep(1000);
      const left = "select 1 from webhook_deliveries where state = 'pending' limit 1";
      assert.equal((await runSql(databaseUrl, left)).length, 1, 'there was not enough to deliver');
      await forgetDeliveries(databaseUrl);
      return rate;
    },
  };
}

function bare(cleanups: Cleanups, target: WebhookTarget): Contestant {
  return {
    name: 'node:https',
    async check() {},
    async perSecond(seconds) {
      const args = ['bench/load/https-loop.ts', `${target.url}/hook`, String(AT_ONCE), PAYLOAD];
      const env = { PATH: process.env['PATH'], ...target.env };
      const child = cleanups.process(process.execPath, args, { env, stdio: 'inherit' });
      const rate = await rateAt(target, seconds);
      await stop(child);
      return rate;
    },
  };
}

/** How many messages arrive per second, after the first ones. */
async function rateAt(target: WebhookTarget, seconds: number): Promise<number> {
  const begun = target.answered + 50;
  while (target.answered < begun) await sleep(5);
  const [before, since] = [target.answered, performance.now()];
  await sleep(seconds * 1000);
  return ((target.answered - before) * 1000) / (performance.now() - since);
}
