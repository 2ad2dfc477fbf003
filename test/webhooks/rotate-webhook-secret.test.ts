import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { readConfig } from '../../src/config.ts';
import { Keyring } from '../../src/platform/crypto.ts';
import type { Webhook } from '../../src/webhooks/webhook.entity.ts';
import { signingSecrets } from '../../src/webhooks/webhook-secret.ts';
import { sql } from '../harness/database.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { newPaused, startWebhookService, type Webhooks, webhooksFor } from './webhooks.ts';

const DAY_MS = 24 * 3600_000;

type Stored = Pick<Webhook, 'secret' | 'previousSecret' | 'previousUntil'>;

let service: Service;
let webhooks: Webhooks;
let keyring: Keyring;

before(async () => {
  service = await startWebhookService();
  webhooks = await webhooksFor(service, 'admin');
  keyring = new Keyring(readConfig(service.env, () => '').masterKeys ?? new Map());
});

describe('RotateWebhookSecret', () => {
  it('returns a new secret, and says that the previous one signs for another day', async () => {
    const { id: webhookId, secret } = await newPaused(webhooks, ['*']);
    const rotated = await webhooks.rotateWebhookSecret({ webhookId });
    assert.match(rotated.secret, /^whsec_/);
    assert.notEqual(rotated.secret, secret);
    const until = rotated.webhook?.previousSecretUntil;
    assert.ok(until);
    const left = timestampDate(until).getTime() - service.clock.now().getTime();
    assert.ok(left <= DAY_MS && left > DAY_MS - 3600_000);
  });

  it('E03 makes two secrets sign for a day, and a second rotation ends the oldest', async () => {
    const { id: webhookId, secret } = await newPaused(webhooks, ['*']);
    const rotate = async () => (await webhooks.rotateWebhookSecret({ webhookId })).secret;
    const signing = async (afterMs: number) => {
      const [row] = await sql<Stored>(
        service.databaseUrl,
        `select secret, previous_secret as "previousSecret", previous_until as "previousUntil"
         from webhooks where id = $1`,
        [webhookId],
      );
      assert.ok(row);
      const now = new Date(service.clock.now().getTime() + afterMs);
      const secrets = signingSecrets(keyring, row, now);
      return secrets.map((bytes) => `whsec_${bytes.toString('base64')}`);
    };
    assert.deepEqual(await signing(0), [secret]);
    const second = await rotate();
    assert.deepEqual(await signing(0), [second, secret]);
    const third = await rotate();
    assert.deepEqual(await signing(0), [third, second]);
    assert.deepEqual(await signing(DAY_MS), [third]);
  });

  it('does not find a webhook that does not exist', async () => {
    const refused = await refusal(webhooks.rotateWebhookSecret({ webhookId: UNKNOWN_ID }));
    assert.equal(refused.reason, 'NOT_FOUND');
  });
});
