import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AUDIT_EVENT_TYPES } from '../../src/audit/audit-entry.ts';
import { newPaused, startWebhookService, webhooksFor } from './webhooks.ts';

describe('ListEventTypes', () => {
  it('lists every type that is written, by name, and webhooks can subscribe to each', async () => {
    const webhooks = await webhooksFor(await startWebhookService(), 'admin');
    const { eventTypes } = await webhooks.listEventTypes({});
    const names = eventTypes.map(({ name }) => name);
    assert.deepEqual(names, [...AUDIT_EVENT_TYPES].sort());
    assert.ok(eventTypes.every(({ description }) => /^[A-Z].+\.$/.test(description)));
    const { webhook } = await newPaused(webhooks, names.slice(0, 100));
    assert.deepEqual(webhook.eventTypes, names.slice(0, 100));
  });
});
