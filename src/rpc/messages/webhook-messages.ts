import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type WebhookDelivery,
  WebhookDeliverySchema,
  WebhookDeliveryState,
  WebhookDisabledReason,
  type Webhook as WebhookMessage,
  WebhookSchema,
  WebhookState,
} from '../../../gen/countersign/v1/webhook_pb.ts';
import type { DeliveryView } from '../../webhooks/webhook-delivery.repository.ts';
import type { WebhookView } from '../../webhooks/webhook-view.ts';

const STATES = {
  enabled: WebhookState.ENABLED,
  paused: WebhookState.PAUSED,
  disabled: WebhookState.DISABLED,
} as const;

const DISABLED_REASONS = {
  requested: WebhookDisabledReason.REQUESTED,
  gone: WebhookDisabledReason.GONE,
  failing: WebhookDisabledReason.FAILING,
} as const;

const DELIVERY_STATES = {
  pending: WebhookDeliveryState.PENDING,
  succeeded: WebhookDeliveryState.SUCCEEDED,
  failed: WebhookDeliveryState.FAILED,
} as const;

export function webhookMessage(webhook: WebhookView): WebhookMessage {
  const { state, disabledReason, createdAt, updatedAt } = webhook;
  const { failingSince, waitsUntil, previousSecretUntil, ...rest } = webhook;
  return create(WebhookSchema, {
    ...rest,
    state: STATES[state],
    disabledReason: disabledReason
      ? DISABLED_REASONS[disabledReason]
      : WebhookDisabledReason.UNSPECIFIED,
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
    ...(failingSince && { failingSince: timestampFromDate(failingSince) }),
    ...(waitsUntil && { waitsUntil: timestampFromDate(waitsUntil) }),
    ...(previousSecretUntil && { previousSecretUntil: timestampFromDate(previousSecretUntil) }),
  });
}

export function deliveryMessage(delivery: DeliveryView): WebhookDelivery {
  const { state, createdAt, nextAttemptAt, attempts, ...rest } = delivery;
  return create(WebhookDeliverySchema, {
    ...rest,
    state: DELIVERY_STATES[state],
    createdAt: timestampFromDate(createdAt),
    ...(nextAttemptAt && { nextAttemptAt: timestampFromDate(nextAttemptAt) }),
    attempts: attempts.map((attempt) => ({
      startedAt: timestampFromDate(new Date(attempt.started_at)),
      duration: durationFromMs(attempt.duration_ms),
      httpStatus: attempt.status ?? 0,
      failure: attempt.failure ?? '',
    })),
  });
}

/** The state that a request names, if it names one. */
export function webhookStateOf(state: WebhookState): WebhookView['state'] | undefined {
  return named(STATES, state);
}

export function deliveryStateOf(state: WebhookDeliveryState): DeliveryView['state'] | undefined {
  return named(DELIVERY_STATES, state);
}

function named<Name extends string>(
  values: Readonly<Record<Name, number>>,
  value: number,
): Name | undefined {
  const names = Object.keys(values) as Name[];
  return names.find((name) => values[name] === value);
}
