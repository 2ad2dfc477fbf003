import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { WebhookDisabledReason, WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { sql } from '../harness/database.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import {
  NOWHERE,
  newPaused,
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

describe('UpdateWebhook', () => {
  it('changes what the mask names, and nothing else', async () => {
    const { id } = await newPaused(webhooks, ['*']);
    const values = {
      webhookId: id,
      displayName: 'Other',
      url: `${NOWHERE}/2`,
      eventTypes: ['x.y'],
    };
    const mask = { paths: ['display_name', 'url'] };
    const { webhook } = await webhooks.updateWebhook({ webhook: values, updateMask: mask });
    assert.deepEqual(
      [webhook?.displayName, webhook?.url, webhook?.eventTypes],
      ['Other', `${NOWHERE}/2`, ['*']],
    );
  });

  it('says who disabled it, and no longer does once it is enabled', async () => {
    const { id: webhookId } = await newWebhook(webhooks, ['*']);
    const set = async (state: WebhookState) =>
      (await webhooks.updateWebhook({ webhook: { webhookId, state } })).webhook;
    const disabled = await set(WebhookState.DISABLED);
    assert.equal(disabled?.disabledReason, WebhookDisabledReason.REQUESTED);
    const paused = await set(WebhookState.PAUSED);
    assert.equal(paused?.state, WebhookState.PAUSED);
    assert.equal(paused?.disabledReason, WebhookDisabledReason.UNSPECIFIED);
  });

  it('forgets failures when it is enabled, or gets another URL', async () => {
    for (const change of [{ state: WebhookState.ENABLED }, { url: `${NOWHERE}/3` }]) {
      const { id: webhookId } = await newPaused(webhooks, ['permission.created']);
      await sql(
        service.databaseUrl,
        `update webhooks set failing_since = now(), pause_until = now() + interval '1 day'
         where id = $1`,
        [webhookId],
      );
      const before = (await webhooks.getWebhook({ webhookId })).webhook;
      assert.ok(before?.failingSince && before.waitsUntil);
      const { webhook } = await webhooks.updateWebhook({ webhook: { webhookId, ...change } });
      assert.deepEqual([webhook?.failingSince, webhook?.waitsUntil], [undefined, undefined]);
    }
  });

  it('refuses what CreateWebhook refuses, by the field', async () => {
    const { id: webhookId } = await newPaused(webhooks, ['*']);
    const refusedField = async (values: object, ...paths: string[]) => {
      const webhook = { webhookId, ...values };
      const refused = await refusal(webhooks.updateWebhook({ webhook, updateMask: { paths } }));
      assert.equal(refused.reason, 'INVALID_REQUEST');
      return refused.fields;
    };
    assert.deepEqual(await refusedField({ url: 'https://10.0.0.1/' }), ['webhook.url']);
    assert.deepEqual(await refusedField({ eventTypes: ['no.such'] }), ['webhook.event_types']);
    assert.deepEqual(await refusedField({}, 'event_types'), ['webhook.event_types']);
    assert.deepEqual(await refusedField({}, 'display_name'), ['webhook.display_name']);
    assert.deepEqual(await refusedField({}, 'state'), ['webhook.state']);
    assert.deepEqual(await refusedField({}, 'created_at'), ['update_mask']);
  });

  it('refuses an etag of an earlier version', async () => {
    const { webhook } = await newWebhook(webhooks, ['*']);
    const { webhookId, etag } = webhook;
    const first = { webhookId, displayName: 'Once', etag };
    await webhooks.updateWebhook({ webhook: first });
    const late = await refusal(
      webhooks.updateWebhook({ webhook: { ...first, displayName: 'Twice' } }),
    );
    assert.equal(late.reason, 'ETAG_MISMATCH');
  });

  it('does not find one that does not exist', async () => {
    const webhook = { webhookId: UNKNOWN_ID, displayName: 'x' };
    assert.equal((await refusal(webhooks.updateWebhook({ webhook }))).reason, 'NOT_FOUND');
  });
});
