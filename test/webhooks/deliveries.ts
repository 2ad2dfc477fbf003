import type { Client } from '@connectrpc/connect';
import { type WebhookDelivery, WebhookDeliveryState } from '../../gen/countersign/v1/webhook_pb.ts';
import type { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { eventually } from '../harness/eventually.ts';
import type { Service, StartOptions } from '../harness/service.ts';
import { deliveriesOf, startWebhookService } from './webhooks.ts';

type Webhooks = Client<typeof WebhookService>;

/** A service that sends webhooks to these targets. */
export function startSender(
  targets: readonly { port: number }[],
  options: StartOptions = {},
): Promise<Service> {
  // Tests let days pass.
  const env = { ...portsOf(targets), COUNTERSIGN_ACCESS_TOKEN_TTL: '20d', ...options.env };
  return startWebhookService({ ...options, env });
}

export function portsOf(targets: readonly { port: number }[]) {
  return { COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: targets.map(({ port }) => port).join() };
}

/** Makes that many messages for a webhook. Returns their ids, in order. */
export async function makeMessages(
  webhooks: Webhooks,
  webhookId: string,
  count: number,
): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const { delivery } = await webhooks.testWebhook({ webhookId });
    ids.push(delivery?.deliveryId ?? '');
  }
  return ids;
}

/** Waits until every delivery of a webhook has the state. Returns them, the newest first. */
export async function settled(
  webhooks: Webhooks,
  webhookId: string,
  state: WebhookDeliveryState = WebhookDeliveryState.SUCCEEDED,
): Promise<WebhookDelivery[]> {
  let found: WebhookDelivery[] = [];
  await eventually(async () => {
    found = await deliveriesOf(webhooks, webhookId);
    return found.length > 0 && found.every((delivery) => delivery.state === state);
  });
  return found;
}

/** Waits until every delivery of a webhook has been tried that often. Returns them. */
export async function tried(
  webhooks: Webhooks,
  webhookId: string,
  times: number,
): Promise<WebhookDelivery[]> {
  let found: WebhookDelivery[] = [];
  await eventually(async () => {
    found = await deliveriesOf(webhooks, webhookId);
    return found.length > 0 && found.every(({ attemptCount }) => attemptCount === times);
  });
  return found;
}
