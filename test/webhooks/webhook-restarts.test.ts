import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { WebhookDeliveryState, WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { DEFAULT_LIMITS, startReplica } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { makeMessages, portsOf, settled, startSender } from './deliveries.ts';
import { startTarget } from './target-server.ts';
import { deliveriesOf, LOOPBACK, newWebhook, setState, webhooksFor } from './webhooks.ts';

/** A target that answers nothing until it is told to. */
async function startHolding() {
  const held: ServerResponse[] = [];
  let isOpen = false;
  const target = await startTarget((response) => {
    if (isOpen) response.writeHead(204).end();
    else held.push(response);
  });
  const open = () => {
    isOpen = true;
    for (const response of held) response.writeHead(204).end();
  };
  return { ...target, held, open };
}

describe('a replica that ends', () => {
  it('E02 E03 in the middle of an attempt, leaves the same id and bytes to another', async () => {
    const target = await startHolding();
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await setState(webhooks, id, WebhookState.PAUSED);
    const [messageId] = await makeMessages(webhooks, id, 1);
    await service.app.stop();
    await sql(service.databaseUrl, "update webhooks set state = 'enabled'");
    const { DATABASE_URL, COUNTERSIGN_MASTER_KEY } = service.env as Record<string, string>;
    const child = await spawnService({
      DATABASE_URL: DATABASE_URL ?? '',
      COUNTERSIGN_MASTER_KEY: COUNTERSIGN_MASTER_KEY ?? '',
      ...LOOPBACK,
      ...portsOf([target]),
    });
    await eventually(() => target.held.length === 1);
    assert.equal(await child.end('SIGKILL'), 'SIGKILL');
    target.open();
    // A replica that died holds its leases for a minute.
    const leased = 'select 1 from webhooks where leased_until > now()';
    assert.equal((await sql(service.databaseUrl, leased)).length, 1);
    await sql(service.databaseUrl, 'update webhooks set leased_until = now()');
    const other = await startReplica(service);
    await settled(await webhooksFor(other, 'admin'), id);
    const [first, second, ...more] = target.received;
    assert.deepEqual(more, []);
    assert.equal(first?.headers['webhook-id'], messageId);
    assert.equal(second?.headers['webhook-id'], messageId);
    assert.deepEqual(second?.body, first?.body);
  });

  it('E03 lets attempts finish', async () => {
    const target = await startHolding();
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, id, 3);
    await eventually(() => target.held.length === 1);
    const stopping = service.app.stop();
    target.open();
    await stopping;
    const rows = await sql<{ state: string; attempt_count: number }>(
      service.databaseUrl,
      'select state, attempt_count from webhook_deliveries order by message_id',
    );
    const [first, ...others] = rows.map(({ state, attempt_count: count }) => [state, count]);
    assert.deepEqual(first, ['succeeded', 1]);
    // They were not begun.
    for (const other of others) assert.deepEqual(other, ['pending', 0]);
  });

  it('E03 gives back what does not finish, which does not count as an attempt', async () => {
    const target = await startHolding();
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, id, 1);
    await eventually(() => target.held.length === 1);
    await service.app.stop();
    const rows = await sql(
      service.databaseUrl,
      `select d.state, d.attempt_count, w.leased_by, w.leased_until > now() as leased
       from webhook_deliveries d, webhooks w`,
    );
    const expected = { state: 'pending', attempt_count: 0, leased_by: null, leased: false };
    assert.deepEqual(rows, [expected]);
    target.open();
    const other = await startReplica(service);
    const [delivery] = await settled(await webhooksFor(other, 'admin'), id);
    assert.equal(delivery?.attemptCount, 1);
  });
});

describe('PostgreSQL, when it is away', () => {
  it('E02 keeps messages waiting, and their attempts are written down when it is back', async () => {
    const target = await startHolding();
    const direct = await createDatabase();
    const proxy = new TcpProxy(direct);
    atEnd(() => proxy.close());
    const databaseUrl = await proxy.listen(direct);
    const service = await startSender([target], { databaseUrl, env: DEFAULT_LIMITS });
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, id, 5);
    await eventually(() => target.held.length === 1);
    proxy.down();
    target.open();
    await assert.rejects(deliveriesOf(webhooks, id));
    proxy.open();
    await eventually(() => service.app.readiness().then(({ status }) => status === 'ready'));
    const deliveries = await settled(webhooks, id);
    assert.ok(deliveries.every(({ state }) => state === WebhookDeliveryState.SUCCEEDED));
    // Each attempt was written down, so none had to be made again.
    assert.equal(target.received.length, 5);
    assert.ok(deliveries.every(({ attemptCount }) => attemptCount === 1));
  });
});
