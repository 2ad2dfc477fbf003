import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { runCommand } from '../harness/command.ts';
import { noteSecret } from '../harness/logs.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';
import {
  deliveriesOf,
  handedOn,
  LOOPBACK,
  NOWHERE,
  startWebhookService,
  type Webhooks,
  webhooksFor,
} from './webhooks.ts';

let service: Service;
let webhooks: Webhooks;

before(async () => {
  service = await startWebhookService();
  webhooks = await webhooksFor(service, 'admin');
});

const command = (...args: string[]) =>
  runCommand(['webhooks', ...args], {
    ...LOOPBACK,
    DATABASE_URL: service.databaseUrl,
    COUNTERSIGN_MASTER_KEY: service.env['COUNTERSIGN_MASTER_KEY'] ?? '',
  });

async function made(...events: string[]): Promise<string> {
  const named = ['create', '--name', 'CRM', '--url', NOWHERE, '--json'];
  const { code, text } = await command(...named, ...events.flatMap((each) => ['--event', each]));
  assert.equal(code, 0, text);
  const { webhook, secret } = JSON.parse(text);
  assert.match(secret, /^whsec_/);
  noteSecret(secret);
  return webhook.webhookId;
}

describe('countersign webhooks', () => {
  it('makes, changes, lists and deletes webhooks', async () => {
    const id = await made('signing_key.*', 'permission.created');
    const paused = await command('update', id, '--state', 'paused', '--name', 'Other');
    assert.equal(paused.code, 0, paused.text);
    const listed = await command('list');
    const types = 'permission.created signing_key.*';
    assert.ok(listed.text.includes(`${id}  Other  paused  ${NOWHERE}  [${types}]\n`), listed.text);
    assert.equal((await command('delete', id)).code, 0);
    assert.ok(!(await command('list')).text.includes(id));
    assert.equal((await command('delete', id)).code, 66);
  });

  it('replaces a secret, and prints it', async () => {
    const id = await made('*');
    const { code, text } = await command('rotate', id);
    const secret = /^whsec_\S+$/m.exec(text)?.[0] ?? '';
    noteSecret(secret);
    assert.deepEqual([code, secret.length], [0, 50]);
  });

  it('E02 sends a test, and sends one message or those of a time again', async () => {
    const id = await made('webhook.tested');
    await command('update', id, '--state', 'paused');
    const tested = await command('test', id, '--json');
    const { deliveryId } = JSON.parse(tested.text).delivery;
    const again = await command('redeliver', id, deliveryId);
    assert.match(again.text, new RegExp(`^${deliveryId}  webhook\\.tested  pending`));
    const range = await command('redeliver', id, '--from', '2026-01-01');
    assert.equal(range.code, 0, range.text);
    await handedOn(service);
    const shown = await command('deliveries', id, '--state', 'pending');
    assert.match(shown.text, new RegExp(`^${deliveryId}`));
    assert.equal((await deliveriesOf(webhooks, id)).length, 1);
  });

  it('names the types of events without a database', async () => {
    const { code, text } = await runCommand(['webhooks', 'types'], {});
    assert.equal(code, 0);
    assert.match(text, /^session\.created {2}Someone signed in\.$/m);
    const page = await runCommand(['webhooks', 'types', '--page'], {});
    assert.match(page.text, /^# Event types\n/);
  });

  it('says what is wrong: with the usage, or the address', async () => {
    for (const args of [
      ['create', '--name', 'x', '--url', NOWHERE],
      ['update', 'x'],
      ['update', UNKNOWN_ID, '--state', 'off'],
      ['redeliver', UNKNOWN_ID],
      ['redeliver', UNKNOWN_ID, UNKNOWN_ID, '--from', '2026-01-01'],
      ['redeliver', UNKNOWN_ID, '--from', 'yesterday'],
      ['list', '--name', 'x'],
      ['lsit'],
    ]) {
      assert.equal((await command(...args)).code, 64, args.join(' '));
    }
    const url = 'https://10.0.0.1/';
    const refused = await command('create', '--name', 'x', '--url', url, '--event', '*');
    assert.equal(refused.code, 1);
    assert.match(refused.text, /^url /);
  });
});
