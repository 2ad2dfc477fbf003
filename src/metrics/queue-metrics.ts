import type { Outbox } from '../mail/outbox.ts';
import type { ShadowDenials } from '../mesh/shadow-denials.ts';
import type { Clock } from '../platform/clock.ts';
import type { Jobs } from '../platform/jobs.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import { webhookDeliveriesIn } from '../webhooks/webhook-delivery.repository.ts';
import { ATTEMPT_LABELS, type WebhookLanes } from '../webhooks/webhook-lanes.ts';
import { remembered } from './remembered.ts';

/** More deliveries than these are as bad, and take long to count. */
const MOST_COUNTED = 10_000;

type Parts = {
  clock: Clock;
  jobs: Jobs;
  sql: SqlDatabase;
  outbox: Outbox;
  webhookLanes: WebhookLanes;
};

/** Work that waits, and what has become of it. */
export function queueMetrics(metrics: Metrics, parts: Parts): void {
  const { clock, jobs, sql, outbox, webhookLanes } = parts;
  const queues = remembered(() => jobs.backlog());
  metrics.gauge(
    { name: 'countersign_jobs_pending', help: 'Jobs that wait.', labels: ['queue'] },
    async () => (await queues()).map(({ queue, count }) => ({ labels: { queue }, value: count })),
  );
  metrics.gauge(
    {
      name: 'countersign_jobs_oldest_seconds',
      help: 'The age of the oldest job that waits; 0 if none does.',
      labels: ['queue'],
    },
    async () =>
      (await queues()).map(({ queue, oldestSeconds: value }) => ({ labels: { queue }, value })),
  );
  metrics.counter(
    { name: 'countersign_mails_total', help: 'Attempts to deliver a mail.', labels: ['outcome'] },
    () => outbox.deliveries.samples,
  );
  metrics.counter(
    {
      name: 'countersign_webhook_attempts_total',
      help: 'Attempts to deliver an event to a webhook.',
      labels: ATTEMPT_LABELS,
    },
    () => webhookLanes.attempts.samples,
  );
  const deliveries = remembered(() =>
    sql.read((em) => webhookDeliveriesIn(em).backlog(MOST_COUNTED, clock.now())),
  );
  metrics.gauge(
    { name: 'countersign_webhook_deliveries_pending', help: 'Deliveries that wait.' },
    async () => [{ labels: {}, value: (await deliveries()).count }],
  );
  metrics.gauge(
    {
      name: 'countersign_webhook_oldest_seconds',
      help: 'The age of the oldest delivery that waits; 0 if none does.',
    },
    async () => [{ labels: {}, value: (await deliveries()).oldestSeconds }],
  );
}

/** What shadow mode lets through. */
export function meshMetrics(
  metrics: Metrics,
  { shadowDenials }: { shadowDenials: ShadowDenials },
): void {
  metrics.counter(
    {
      name: 'countersign_mesh_shadow_denials_total',
      help: 'Requests that shadow mode has let through although they would have been refused.',
      labels: ['reason'],
    },
    () => [...shadowDenials.byReason].map(([reason, value]) => ({ labels: { reason }, value })),
  );
}
