import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { atEnd } from '../harness/at-end.ts';
import { EVERY_FAULT } from '../harness/scale.ts';
import type { Service } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { startSender } from '../webhooks/deliveries.ts';
import { startTarget } from '../webhooks/target-server.ts';
import { newWebhook, type Webhooks, webhooksFor } from '../webhooks/webhooks.ts';
import { Calls, during, every, FAULTS, LONG, wholeAgain } from './faults.ts';

/** Of a target that does not answer: the limit of an attempt, and the pause that follows two of them. */
const PAUSED_MS = 60_000;

type Target = Awaited<ReturnType<typeof startTarget>>;

const countOf = ({ received }: Target) =>
  new Set(received.map(({ headers }) => headers['webhook-id'])).size;

describe('A target of webhooks', { skip: !EVERY_FAULT && LONG }, () => {
  let proxy: TcpProxy;
  let near: Target;
  let far: Target;
  let service: Service;
  let webhooks: Webhooks;
  let ids: { near: string; far: string };

  before(async () => {
    [near, far] = [await startTarget(), await startTarget()];
    proxy = new TcpProxy(far.url);
    const url = await proxy.listen(far.url);
    service = await startSender([near, { port: Number(new URL(url).port) }]);
    webhooks = await webhooksFor(service, 'admin');
    const idOf = async (to: string) => (await newWebhook(webhooks, ['account.created'], to)).id;
    ids = { near: await idOf(near.url), far: await idOf(url) };
    atEnd(() => proxy.close());
  });

  const send = (webhookId: string) => webhooks.testWebhook({ webhookId });

  for (const fault of FAULTS) {
    it(`E02 E03 ${fault.name}: holds up no call and no other target, and gets every message`, async () => {
      const quiet = new Calls();
      const expected = { near: countOf(near), far: countOf(far) };
      const from = performance.now();
      await quiet.make(() => send(ids.far));
      expected.far += 1;
      await wholeAgain(from, 500, async () => countOf(far) === expected.far);
      const quietMs = performance.now() - from;
      const away = new Calls();
      const openedAt = await during(
        fault,
        proxy,
        every(500, async () => {
          for (const name of ['near', 'far'] as const) {
            const sent = await away.make(() => send(ids[name]));
            if (sent) expected[name] += 1;
          }
        }),
      );
      await wholeAgain(openedAt, quietMs, async () => countOf(near) === expected.near);
      await wholeAgain(openedAt + PAUSED_MS, quietMs, async () => countOf(far) === expected.far);
      assert.deepEqual([...quiet.refusals, ...away.refusals], []);
      assert.ok(away.median < 5 * quiet.median + 1000);
    });
  }
});
