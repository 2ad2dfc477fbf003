import { begun, type Tracer } from '../platform/tracer.ts';
import { type Attempt, sendWebhook } from './send-webhook.ts';

/**
 * Makes an attempt as `sendWebhook` does, as a trace of its own, in which the target can take part. The
 * URL is left out: it may hold a secret.
 */
export function tracedAttempt(
  needs: Parameters<typeof sendWebhook>[0] & { tracer: Tracer },
  message: Parameters<typeof sendWebhook>[1],
  now: Date,
  signal: AbortSignal,
): Promise<Attempt> {
  const attributes = {
    'http.request.method': 'POST',
    'countersign.webhook_message_id': message.messageId,
  };
  const options = { name: 'send webhook', kind: 'client', attributes } as const;
  return begun(needs.tracer, options, async (span) => {
    const { traceparent } = span ?? {};
    const sent = traceparent === undefined ? message : { ...message, traceparent };
    const attempt = await sendWebhook(needs, sent, now, signal);
    span?.set({ 'http.response.status_code': attempt.status });
    if (attempt.failure) span?.failed(attempt.failure);
    return attempt;
  });
}
