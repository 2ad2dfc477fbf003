import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { WebhookDisabledReason, WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { onDatabase } from '../../src/cli/on-database.ts';
import { operator } from '../../src/platform/caller.ts';
import { disableWebhook } from '../../src/webhooks/disable-webhook.ts';
import { sql } from '../harness/database.ts';
import { type Person, person } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';
import { NOWHERE, newPaused, setState, startWebhookService, type Webhooks } from './webhooks.ts';

let service: Service;
let admin: Person;
let webhooks: Webhooks;

before(async () => {
  service = await startWebhookService();
  admin = await person(service, 'user', 'admin');
  webhooks = service.client(WebhookService, 'grpc', admin.accessToken);
});

/** Does what a replica does that finds a target gone or failing. */
async function disable(id: string, reason: 'gone' | 'failing'): Promise<void> {
  const unused = () => Promise.reject(new Error('not used'));
  const io = {
    env: service.env,
    readFile: (path: string) => readFileSync(path, 'utf8'),
    out: () => {},
    err: () => {},
    write: unused,
    isTerminal: false,
    keepRunning: unused,
  };
  await onDatabase(io, async ({ database }) => {
    await database.transaction(operator(), (tx) =>
      disableWebhook(tx, { id, url: NOWHERE }, reason),
    );
    return 0;
  });
}

function events(id: string) {
  return sql(
    service.databaseUrl,
    `select outcome, details->>'cause' as cause from audit_events
     where type = 'webhook.disabled' and details->>'webhook_id' = $1`,
    [id],
  );
}

describe('A webhook whose target is gone or fails for days', () => {
  it('E03 is disabled once, with an event, and a mail to those who may change it', async () => {
    const bystander = await person(service, 'user', 'auditor');
    for (const [reason, said] of [
      ['gone', WebhookDisabledReason.GONE],
      ['failing', WebhookDisabledReason.FAILING],
    ] as const) {
      const { id: webhookId } = await newPaused(webhooks, ['role.created']);
      await disable(webhookId, reason);
      const { webhook } = await webhooks.getWebhook({ webhookId });
      assert.deepEqual([webhook?.state, webhook?.disabledReason], [WebhookState.DISABLED, said]);
      await disable(webhookId, reason);
      assert.deepEqual(await events(webhookId), [{ outcome: 'failure', cause: reason }]);
      const mail = await service.mail.next(admin.email, /webhook was disabled/);
      assert.match(mail.text, /The webhook “Target” has been disabled/);
    }
    const told = service.mail.mails.filter(({ subject }) => /webhook/.test(subject));
    assert.deepEqual(
      told.map(({ to }) => to).filter((to) => to === bystander.email),
      [],
    );
  });

  it('leaves alone one that someone has disabled or deleted', async () => {
    const { id } = await newPaused(webhooks, ['role.created']);
    await setState(webhooks, id, WebhookState.DISABLED);
    await disable(id, 'failing');
    const { webhook } = await webhooks.getWebhook({ webhookId: id });
    assert.equal(webhook?.disabledReason, WebhookDisabledReason.REQUESTED);
    await webhooks.deleteWebhook({ webhookId: id });
    await disable(id, 'gone');
    assert.deepEqual(await events(id), []);
  });
});
