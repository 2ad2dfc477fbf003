import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { tablesWith } from '../database-search.ts';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import {
  NOWHERE,
  newWebhook,
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

describe('CreateWebhook', () => {
  it('returns the webhook, and its secret', async () => {
    const { webhook, secret } = await newWebhook(webhooks, ['session.*', 'account.created']);
    assert.deepEqual(
      [webhook.displayName, webhook.url, webhook.eventTypes, webhook.state],
      ['Target', NOWHERE, ['account.created', 'session.*'], WebhookState.ENABLED],
    );
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  });

  it('S11 keeps nothing by which the secret can be read from the database', async () => {
    const { secret } = await newWebhook(webhooks, ['*']);
    const key = secret.slice('whsec_'.length);
    for (const form of [secret, key, Buffer.from(key, 'base64').toString('base64url')]) {
      assert.deepEqual(await tablesWith(service.databaseUrl, form), []);
    }
  });

  it('refuses a type of event that does not exist, by its name', async () => {
    const request = { displayName: 'x', url: NOWHERE, eventTypes: ['sesion.created'] };
    const refused = await refusal(webhooks.createWebhook(request));
    assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['event_types']]);
    assert.match(refused.message, /sesion\.created/);
  });

  it('refuses a group of types that does not exist', async () => {
    const request = { displayName: 'x', url: NOWHERE, eventTypes: ['sesion.*'] };
    assert.equal((await refusal(webhooks.createWebhook(request))).reason, 'INVALID_REQUEST');
  });

  it('E04 refuses a URL that webhooks are not sent to', async () => {
    for (const url of ['https://192.168.0.1/', 'https://[::ffff:a00:1]/', 'ftp://example.com/']) {
      const request = { displayName: 'x', url, eventTypes: ['*'] };
      const refused = await refusal(webhooks.createWebhook(request));
      assert.deepEqual([refused.reason, refused.fields], ['INVALID_REQUEST', ['url']]);
    }
  });

  it('requires the permission', async () => {
    const reader = await webhooksFor(service, 'auditor');
    const request = { displayName: 'x', url: NOWHERE, eventTypes: ['*'] };
    const refused = await refusal(reader.createWebhook(request));
    assert.deepEqual(refused.metadata, { permission: 'webhooks.write' });
  });

  it('refuses more than a thousand', async () => {
    const full = await startWebhookService();
    const admin = await webhooksFor(full, 'admin');
    const { id } = await newWebhook(admin, ['*']);
    await sql(
      full.databaseUrl,
      `insert into webhooks (id, display_name, url, event_types, state, secret, created_at, updated_at)
       select gen_random_uuid(), 'x', 'x', '{}', 'paused', '', now(), now()
       from generate_series(1, 999)`,
    );
    const request = { displayName: 'x', url: NOWHERE, eventTypes: ['*'] };
    assert.equal((await refusal(admin.createWebhook(request))).reason, 'TOO_MANY');
    await admin.deleteWebhook({ webhookId: id });
    await admin.createWebhook(request);
  });
});
