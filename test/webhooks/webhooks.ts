import type { Client } from '@connectrpc/connect';
import type { Webhook, WebhookDelivery } from '../../gen/countersign/v1/webhook_pb.ts';
import { WebhookState } from '../../gen/countersign/v1/webhook_pb.ts';
import { WebhookService } from '../../gen/countersign/v1/webhook_service_pb.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { noteSecret } from '../harness/logs.ts';
import { person } from '../harness/people.ts';
import { type Service, type StartOptions, startService } from '../harness/service.ts';

/** Nothing listens there. */
export const NOWHERE = 'http://127.0.0.1:1/hooks';

/** Settings that let webhooks be sent to this machine. */
export const LOOPBACK = {
  COUNTERSIGN_WEBHOOK_ALLOW_HTTP: 'on',
  COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
  COUNTERSIGN_WEBHOOK_ALLOWED_PORTS: '1',
};

/** A service that sends webhooks to this machine. */
export function startWebhookService(options: StartOptions = {}): Promise<Service> {
  return startService({ ...options, env: { ...LOOPBACK, ...options.env } });
}

export type Webhooks = Client<typeof WebhookService>;

/** A client of webhooks, for a new person with these roles. */
export async function webhooksFor(service: Service, ...roles: string[]): Promise<Webhooks> {
  const { accessToken } = await person(service, 'user', ...roles);
  return service.client(WebhookService, 'grpc', accessToken);
}

export type NewWebhook = { webhook: Webhook; id: string; secret: string };

/** A webhook that subscribes to these types. */
export async function newWebhook(
  webhooks: Webhooks,
  eventTypes: string[],
  url = NOWHERE,
): Promise<NewWebhook> {
  const request = { displayName: 'Target', url, eventTypes };
  const { webhook, secret } = await webhooks.createWebhook(request);
  if (!webhook) throw new Error('no webhook');
  noteSecret(secret);
  return { webhook, id: webhook.webhookId, secret };
}

/** The same, whose deliveries wait. */
export async function newPaused(webhooks: Webhooks, eventTypes: string[]): Promise<NewWebhook> {
  const made = await newWebhook(webhooks, eventTypes);
  await setState(webhooks, made.id, WebhookState.PAUSED);
  return made;
}

export async function setState(
  webhooks: Webhooks,
  webhookId: string,
  state: WebhookState,
): Promise<void> {
  await webhooks.updateWebhook({ webhook: { webhookId, state } });
}

/** All deliveries of a webhook, those of the newest events first. */
export async function deliveriesOf(
  webhooks: Webhooks,
  webhookId: string,
): Promise<WebhookDelivery[]> {
  const found: WebhookDelivery[] = [];
  for (let pageToken = ''; ; ) {
    const page = await webhooks.listWebhookDeliveries({ webhookId, pageSize: 100, pageToken });
    found.push(...page.deliveries);
    pageToken = page.nextPageToken;
    if (pageToken === '') return found;
  }
}

/** Waits until every event has been handed to the webhooks, and every replay is over. */
export async function handedOn({ databaseUrl }: Pick<Service, 'databaseUrl'>): Promise<void> {
  await eventually(async () => {
    const rows = await sql(
      databaseUrl,
      `select 1 where exists (select from audit_events where position is null)
         or exists (select from webhook_replays)
         or (select position from webhook_fan_out) <
           coalesce((select position from audit_chain where id = 1), 0)`,
    );
    return rows.length === 0;
  }, 30_000);
}

/** What a message says. */
export async function payloadOf({ databaseUrl }: Pick<Service, 'databaseUrl'>, id: string) {
  const [row] = await sql<{ payload: Buffer }>(
    databaseUrl,
    'select payload from webhook_messages where id = $1',
    [id],
  );
  return row?.payload.toString() ?? '';
}
