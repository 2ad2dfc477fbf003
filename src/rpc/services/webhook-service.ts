import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { WebhookState } from '../../../gen/countersign/v1/webhook_pb.ts';
import type {
  RedeliverWebhookRequest,
  WebhookService,
} from '../../../gen/countersign/v1/webhook_service_pb.ts';
import { createWebhook } from '../../webhooks/create-webhook.ts';
import { deleteWebhook } from '../../webhooks/delete-webhook.ts';
import { EVENT_TYPES } from '../../webhooks/event-types.ts';
import { getWebhook } from '../../webhooks/get-webhook.ts';
import { listWebhookDeliveries } from '../../webhooks/list-webhook-deliveries.ts';
import { listWebhooks } from '../../webhooks/list-webhooks.ts';
import { type RedeliverWebhook, redeliverWebhook } from '../../webhooks/redeliver-webhook.ts';
import { rotateWebhookSecret } from '../../webhooks/rotate-webhook-secret.ts';
import { testWebhook } from '../../webhooks/test-webhook.ts';
import { updateWebhook } from '../../webhooks/update-webhook.ts';
import type { WebhookWithSecret } from '../../webhooks/webhook-view.ts';
import { callerOf } from '../call.ts';
import {
  deliveryMessage,
  deliveryStateOf,
  webhookMessage,
  webhookStateOf,
} from '../messages/webhook-messages.ts';
import type { Dependencies } from './dependencies.ts';

export function webhookService(deps: Dependencies): ServiceImpl<typeof WebhookService> {
  return {
    async createWebhook(request, context) {
      return shown(await createWebhook(deps, callerOf(context), request));
    },

    async getWebhook({ webhookId }, context) {
      return { webhook: webhookMessage(await getWebhook(deps, callerOf(context), webhookId)) };
    },

    async listWebhooks(request, context) {
      const page = await listWebhooks(deps, callerOf(context), request);
      return { ...page, webhooks: page.webhooks.map(webhookMessage) };
    },

    async updateWebhook({ webhook, updateMask }, context) {
      const { webhookId = '', displayName = '', url = '', eventTypes = [] } = webhook ?? {};
      const state = webhookStateOf(webhook?.state ?? WebhookState.UNSPECIFIED);
      const values = { displayName, url, eventTypes, state };
      const mask = updateMask?.paths ?? [];
      const update = { ...values, webhookId, etag: webhook?.etag ?? '', mask };
      return { webhook: webhookMessage(await updateWebhook(deps, callerOf(context), update)) };
    },

    async deleteWebhook({ webhookId }, context) {
      await deleteWebhook(deps, callerOf(context), webhookId);
      return {};
    },

    async rotateWebhookSecret({ webhookId }, context) {
      return shown(await rotateWebhookSecret(deps, callerOf(context), webhookId));
    },

    async listWebhookDeliveries(request, context) {
      const asked = { ...request, state: deliveryStateOf(request.state) };
      const page = await listWebhookDeliveries(deps, callerOf(context), asked);
      return { ...page, deliveries: page.deliveries.map(deliveryMessage) };
    },

    async redeliverWebhook(request, context) {
      const delivery = await redeliverWebhook(deps, callerOf(context), whatToSend(request));
      return delivery ? { delivery: deliveryMessage(delivery) } : {};
    },

    async testWebhook({ webhookId }, context) {
      const delivery = await testWebhook(deps, callerOf(context), webhookId);
      return { delivery: deliveryMessage(delivery) };
    },

    listEventTypes() {
      return { eventTypes: [...EVENT_TYPES] };
    },
  };
}

function shown({ webhook, secret }: WebhookWithSecret) {
  return { webhook: webhookMessage(webhook), secret };
}

/** What a request names; the validation rules refuse one that names nothing. */
function whatToSend({ webhookId, what }: RedeliverWebhookRequest): RedeliverWebhook {
  if (what.case === 'deliveryId') return { webhookId, deliveryId: what.value };
  const { from, to } = what.value ?? {};
  return { webhookId, startsAt: from && timestampDate(from), endsAt: to && timestampDate(to) };
}
