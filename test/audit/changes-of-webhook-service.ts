import { WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { person, UNKNOWN_ID } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';
import { NOWHERE, newPaused } from '../webhooks/webhooks.ts';
import type { Call, Changes } from './changes.ts';

/** What each method of WebhookService leaves in the trail. */
export const changesOfWebhookService: Changes<typeof WebhookService> = {
  async createWebhook(service) {
    const { webhooks } = await keeper(service);
    const request = { displayName: 'x', url: NOWHERE, eventTypes: ['*'] };
    const mistyped = { ...request, eventTypes: ['acount.created'] };
    return {
      done: [[(options) => webhooks.createWebhook(request, options), 'webhook.created']],
      refused: [[(options) => webhooks.createWebhook(mistyped, options)]],
    };
  },
  getWebhook: 'reads',
  listWebhooks: 'reads',
  async updateWebhook(service) {
    const { webhooks, webhookId } = await keeper(service);
    const change = (values: object): Call => {
      return (options) => webhooks.updateWebhook({ webhook: { webhookId, ...values } }, options);
    };
    return {
      done: [
        [change({ displayName: 'Other' }), 'webhook.updated'],
        [change({ displayName: 'Other' })],
        [change({ state: WebhookState.DISABLED }), 'webhook.updated'],
      ],
      refused: [[change({ displayName: 'Late', etag: 'x' })]],
    };
  },
  async deleteWebhook(service) {
    const { webhooks, webhookId } = await keeper(service);
    const call: Call = (options) => webhooks.deleteWebhook({ webhookId }, options);
    return { done: [[call, 'webhook.deleted']], refused: [[call]] };
  },
  async rotateWebhookSecret(service) {
    const { webhooks, webhookId } = await keeper(service);
    const rotate = (id: string): Call => {
      return (options) => webhooks.rotateWebhookSecret({ webhookId: id }, options);
    };
    return {
      done: [[rotate(webhookId), 'webhook.secret_rotated']],
      refused: [[rotate(UNKNOWN_ID)]],
    };
  },
  listWebhookDeliveries: 'reads',
  async redeliverWebhook(service) {
    const { webhooks, webhookId } = await keeper(service);
    const { delivery } = await webhooks.testWebhook({ webhookId });
    const one = (value: string) => ({ case: 'deliveryId', value }) as const;
    const all = { case: 'range', value: {} } as const;
    const send = (what: typeof all | ReturnType<typeof one>): Call => {
      return (options) => webhooks.redeliverWebhook({ webhookId, what }, options);
    };
    return {
      done: [
        [send(one(delivery?.deliveryId ?? '')), 'webhook.redelivered'],
        [send(all), 'webhook.redelivered'],
      ],
      refused: [[send(one(UNKNOWN_ID))]],
    };
  },
  async testWebhook(service) {
    const { webhooks, webhookId } = await keeper(service);
    const test = (id: string): Call => {
      return (options) => webhooks.testWebhook({ webhookId: id }, options);
    };
    return { done: [[test(webhookId), 'webhook.tested']], refused: [[test(UNKNOWN_ID)]] };
  },
  listEventTypes: 'reads',
};

/** An administrator, and a webhook. */
async function keeper(service: Service) {
  const { accessToken } = await person(service, 'user', 'admin');
  const webhooks = service.client(WebhookService, 'grpc', accessToken);
  const { id: webhookId } = await newPaused(webhooks, ['*']);
  return { webhooks, webhookId };
}
