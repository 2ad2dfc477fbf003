import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { WebhookDeliveryState, WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { startReplica } from '../harness/service.ts';
import { makeMessages, settled, startSender, tried } from './deliveries.ts';
import { startTarget } from './target-server.ts';
import { deliveriesOf, newWebhook, setState, webhooksFor } from './webhooks.ts';

const HOUR = 3600_000;
const DAY = 24 * HOUR;

describe('a delivery', () => {
  it('E03 reaches its target signed, by both secrets after a rotation', async () => {
    const target = await startTarget();
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id, secret } = await newWebhook(webhooks, ['webhook.*'], target.url);
    const [first] = await makeMessages(webhooks, id, 1);
    await settled(webhooks, id);
    const rotated = await webhooks.rotateWebhookSecret({ webhookId: id });
    await makeMessages(webhooks, id, 1);
    await settled(webhooks, id);
    const [one, two] = target.received.filter(({ body }) => /webhook\.tested/.test(`${body}`));
    assert.ok(one && two);
    assert.equal(one.headers['webhook-id'], first);
    for (const [received, key] of [
      [one, secret],
      [two, secret],
      [two, rotated.secret],
    ] as const) {
      new Webhook(key).verify(`${received.body}`, received.headers as Record<string, string>);
    }
  });

  it('E02 E03 is tried again on schedule under one id, with the same bytes', async () => {
    let status = 500;
    const target = await startTarget((response) => response.writeHead(status).end());
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    const [messageId] = await makeMessages(webhooks, id, 1);
    await tried(webhooks, id, 1);
    service.clock.advance(7000);
    await tried(webhooks, id, 2);
    status = 200;
    service.clock.advance(6 * 60_000);
    const [delivery] = await settled(webhooks, id);
    assert.equal(delivery?.attemptCount, 3);
    assert.deepEqual(
      delivery.attempts.map(({ httpStatus }) => httpStatus),
      [500, 500, 200],
    );
    const ids = new Set(target.received.map(({ headers }) => headers['webhook-id']));
    const bodies = new Set(target.received.map(({ body }) => `${body}`));
    assert.deepEqual([[...ids], bodies.size, target.received.length], [[messageId], 1, 3]);
  });

  it('E03 is given up after ten attempts', async () => {
    const target = await startTarget((response) => response.writeHead(503).end());
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, id, 1);
    for (const [made, hours] of [0.01, 0.11, 0.61, 2.5, 6.1, 12.1, 17, 24.1, 29].entries()) {
      await tried(webhooks, id, made + 1);
      service.clock.advance(hours * HOUR);
    }
    const [delivery] = await settled(webhooks, id, WebhookDeliveryState.FAILED);
    assert.equal(delivery?.attemptCount, 10);
    assert.equal(target.received.length, 10);
  });

  it('E03 goes to the address that the webhook has when it leaves', async () => {
    const target = await startTarget((response) => {
      setTimeout(() => response.writeHead(204).end(), 2500);
    });
    const next = await startTarget();
    const service = await startSender([target, next]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newWebhook(webhooks, ['account.created'], target.url);
    await setState(webhooks, webhookId, WebhookState.PAUSED);
    await makeMessages(webhooks, webhookId, 5);
    await setState(webhooks, webhookId, WebhookState.ENABLED);
    await eventually(() => target.received.length === 1);
    const paths = ['url'];
    const webhook = { webhookId, url: next.url };
    await webhooks.updateWebhook({ webhook, updateMask: { paths } });
    await settled(webhooks, webhookId);
    assert.deepEqual([target.received.length, next.received.length], [1, 4]);
  });

  it('E03 goes out once, whichever of several replicas sends it', async () => {
    const targets = [await startTarget(), await startTarget(), await startTarget()];
    const service = await startSender(targets);
    const other = await startReplica(service);
    const webhooks = await webhooksFor(service, 'admin');
    const made: string[] = [];
    const ids: string[] = [];
    for (const { url } of targets) {
      const { id } = await newWebhook(webhooks, ['account.created'], url);
      await setState(webhooks, id, WebhookState.PAUSED);
      made.push(...(await makeMessages(webhooks, id, 40)));
      ids.push(id);
    }
    await Promise.all(ids.map((id) => setState(webhooks, id, WebhookState.ENABLED)));
    for (const id of ids) await settled(webhooks, id);
    const received = targets.flatMap((target) => target.received);
    const seen = received.map(({ headers }) => headers['webhook-id']).toSorted();
    assert.deepEqual(seen, made.toSorted());
    assert.ok(other.app.httpAddress !== service.app.httpAddress);
  });
});

describe('a target', () => {
  it('E03 that answers 410 gets nothing more, which people are told', async () => {
    const target = await startTarget((response) => response.writeHead(410).end());
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, webhookId, 1);
    await eventually(async () => {
      const { webhook } = await webhooks.getWebhook({ webhookId });
      return webhook?.state === WebhookState.DISABLED;
    });
    assert.equal(target.received.length, 1);
    await eventually(() => service.mail.mails.some(({ subject }) => /webhook/i.test(subject)));
    service.clock.advance(DAY);
    const [delivery] = await deliveriesOf(webhooks, webhookId);
    assert.equal(delivery?.state, WebhookDeliveryState.PENDING);
  });

  it('E03 that has failed for five days gets nothing more', async () => {
    const target = await startTarget((response) => response.writeHead(500).end());
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id: webhookId } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, webhookId, 1);
    await tried(webhooks, webhookId, 1);
    const state = async () => (await webhooks.getWebhook({ webhookId })).webhook?.state;
    service.clock.advance(5 * DAY - HOUR);
    await tried(webhooks, webhookId, 2);
    assert.equal(await state(), WebhookState.ENABLED);
    service.clock.advance(2 * HOUR);
    await eventually(async () => (await state()) === WebhookState.DISABLED);
  });

  it('E03 that asks for time is left alone for it, whatever else is due', async () => {
    let status = 429;
    const target = await startTarget((response) =>
      response.writeHead(status, { 'retry-after': '9' }).end(),
    );
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, id, 1);
    await tried(webhooks, id, 1);
    await makeMessages(webhooks, id, 5);
    service.clock.advance(7000);
    // Another lane than this one has looked for what is due meanwhile.
    const calm = await newWebhook(webhooks, ['account.created'], `${target.url}/calm`);
    status = 204;
    await makeMessages(webhooks, calm.id, 1);
    await settled(webhooks, calm.id);
    assert.equal(target.received.filter(({ url }) => url === '/hook').length, 1);
    service.clock.advance(4000);
    await settled(webhooks, id);
  });

  it('E03 that is back gets what has waited at once, not when its time has come', async () => {
    let status = 503;
    const takenAt: number[] = [];
    const target = await startTarget((response) => {
      if (status === 204) takenAt.push(performance.now());
      response.writeHead(status).end();
    });
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await makeMessages(webhooks, id, 12);
    await tried(webhooks, id, 1);
    service.clock.advance(7000);
    await tried(webhooks, id, 2);
    service.clock.advance(60_000);
    status = 204;
    // The others would wait for minutes.
    await makeMessages(webhooks, id, 1);
    await settled(webhooks, id);
    assert.equal(target.received.length, 12 + 12 + 13);
    // 20 a second, however fast it could go.
    const [first = 0, last = 0] = [takenAt[1], takenAt.at(-1)];
    assert.ok(last - first > 400, `${last - first} ms`);
  });

  it('E03 that takes all but one message is not sent that one again and again', async () => {
    let poison = '';
    const target = await startTarget((response, { headers }) =>
      response.writeHead(headers['webhook-id'] === poison ? 500 : 204).end(),
    );
    const service = await startSender([target]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id } = await newWebhook(webhooks, ['account.created'], target.url);
    await setState(webhooks, id, WebhookState.PAUSED);
    [poison = ''] = await makeMessages(webhooks, id, 1);
    await setState(webhooks, id, WebhookState.ENABLED);
    await tried(webhooks, id, 1);
    const times = () =>
      target.received.filter(({ headers }) => headers['webhook-id'] === poison).length;
    for (let round = 0; round < 4; round += 1) {
      service.clock.advance(30_000);
      const [made] = await makeMessages(webhooks, id, 1);
      await eventually(() => target.received.some(({ headers }) => headers['webhook-id'] === made));
    }
    // Its own schedule has two of them in this time, and once it is hurried.
    await eventually(() => times() >= 2);
    assert.ok(times() <= 3, `${times()} times`);
  });

  it('E03 that hangs delays no other, even if there are more of them than lanes', async () => {
    const hung = new Set<string>();
    const hanging = await startTarget((_response, { url }) => hung.add(url));
    const good = await startTarget();
    const service = await startSender([hanging, good]);
    const webhooks = await webhooksFor(service, 'admin');
    for (let n = 0; n < 60; n += 1) {
      const { id } = await newWebhook(webhooks, ['account.created'], `${hanging.url}/${n}`);
      await setState(webhooks, id, WebhookState.PAUSED);
      await makeMessages(webhooks, id, 1);
    }
    await sql(service.databaseUrl, "update webhooks set state = 'enabled'");
    await eventually(() => hung.size === 60);
    const ended = 'select 1 from webhook_deliveries where attempt_count > 0';
    assert.ok((await sql(service.databaseUrl, ended)).length < 10, 'some waited for others to end');
    const { id: fast } = await newWebhook(webhooks, ['account.created'], good.url);
    await makeMessages(webhooks, fast, 5);
    await settled(webhooks, fast);
    assert.equal(good.received.length, 5);
  });

  it('E03 that hangs delays no other', async () => {
    let open = 0;
    const hanging = await startTarget(() => {
      open += 1;
    });
    const good = await startTarget();
    const service = await startSender([hanging, good]);
    const webhooks = await webhooksFor(service, 'admin');
    const { id: slow } = await newWebhook(webhooks, ['account.created'], hanging.url);
    const { id: fast } = await newWebhook(webhooks, ['account.created'], good.url);
    await makeMessages(webhooks, slow, 20);
    await eventually(() => open > 0);
    await makeMessages(webhooks, fast, 20);
    await settled(webhooks, fast);
    assert.equal(good.received.length, 20);
    const waiting = await deliveriesOf(webhooks, slow);
    assert.ok(waiting.every(({ attemptCount }) => attemptCount === 0));
  });
});
