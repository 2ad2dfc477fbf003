import { Failure } from '../platform/failure.ts';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { WebhookDelivery, type WebhookDeliveryState } from './webhook-delivery.entity.ts';

/** How many deliveries show whether a target is back. */
const FIRST = 100;

/** A message, and a webhook that gets it. */
export type DeliveryPair = { webhookId: string; messageId: string };

/** A delivery as people see it. */
export type DeliveryView = Omit<
  WebhookDelivery,
  'webhook' | 'message' | 'retryStep' | 'hurried'
> & {
  deliveryId: string;
  eventType: string;
};

type Row = Omit<DeliveryView, 'createdAt' | 'nextAttemptAt'> & {
  createdAt: string;
  nextAttemptAt: string | null;
};

const COLUMNS = `d.message_id as "deliveryId", m.type as "eventType", d.state,
  d.created_at as "createdAt", d.next_attempt_at as "nextAttemptAt",
  d.attempt_count as "attemptCount", d.attempts`;

export class WebhookDeliveryRepository extends Repository<WebhookDelivery> {
  /** How many deliveries are pending, `most` at most, and how old (s) the oldest of them is. */
  async backlog(most: number, now: Date): Promise<{ count: number; oldestSeconds: number }> {
    const [row] = await this.query<{ count: number; oldestSeconds: number }>(
      `select count(*)::int as count,
         greatest(extract(epoch from $2::timestamptz - min(created_at)), 0)::float8 as "oldestSeconds"
       from (select created_at from webhook_deliveries where state = 'pending' limit $1) counted`,
      [most, now],
    );
    return row ?? { count: 0, oldestSeconds: 0 };
  }

  /** Makes deliveries, which are due at once. One that is there already stays as it is. */
  async insertMissing(pairs: readonly DeliveryPair[], now: Date): Promise<void> {
    await this.#insert(pairs, now, 'do nothing');
  }

  /** The same, but what is not pending is sent again. */
  async sendAgain(pairs: readonly DeliveryPair[], now: Date): Promise<void> {
    const again = `do update set state = 'pending', next_attempt_at = excluded.next_attempt_at,
      retry_step = 0, hurried = false where d.state <> 'pending'`;
    await this.#insert(pairs, now, again);
  }

  async #insert(pairs: readonly DeliveryPair[], now: Date, onConflict: string): Promise<void> {
    await this.query(
      `insert into webhook_deliveries as d (webhook_id, message_id, state, created_at,
         next_attempt_at, retry_step, attempt_count, attempts)
       select webhook_id, message_id, 'pending', $3, $3, 0, 0, '[]'
       from unnest($1::uuid[], $2::uuid[]) as p (webhook_id, message_id)
       order by webhook_id, message_id
       on conflict (webhook_id, message_id) ${onConflict}`,
      [pairs.map(({ webhookId }) => webhookId), pairs.map(({ messageId }) => messageId), now],
    );
  }

  /** Has a delivery, if there is one, sent now, whatever became of it. */
  async sendNow({ webhookId, messageId }: DeliveryPair, now: Date): Promise<void> {
    await this.query(
      `update webhook_deliveries set state = 'pending', next_attempt_at = $3, retry_step = 0,
         hurried = false
       where webhook_id = $1 and message_id = $2`,
      [webhookId, messageId, now],
    );
  }

  /**
   * Makes the first of what waits for a webhook due: enough to find out whether its target is back. Once
   * it is, the rest is hurried.
   */
  async sendFirstNow(webhookId: string, now: Date): Promise<void> {
    await this.query(
      `update webhook_deliveries set next_attempt_at = $2
       where webhook_id = $1 and message_id in (
         select message_id from webhook_deliveries
         where webhook_id = $1 and state = 'pending' and next_attempt_at > $2
         order by next_attempt_at, message_id limit ${FIRST})`,
      [webhookId, now],
    );
  }

  /** One delivery. Throws `NOT_FOUND`. */
  async view({ webhookId, messageId }: DeliveryPair): Promise<DeliveryView> {
    const [row] = await this.query<Row>(
      `select ${COLUMNS} from webhook_deliveries d join webhook_messages m on m.id = d.message_id
       where d.webhook_id = $1 and d.message_id = $2`,
      [webhookId, messageId],
    );
    if (row) return viewOf(row);
    throw new Failure('not_found', 'NOT_FOUND', 'there is no such delivery to this webhook');
  }

  /** Lists deliveries, those of the newest events first: those before a message, if one is given. */
  async list(which: {
    webhookId: string;
    state: WebhookDeliveryState | undefined;
    before: string | undefined;
    limit: number;
  }): Promise<DeliveryView[]> {
    const { webhookId, state, before, limit } = which;
    const parameters: unknown[] = [webhookId, limit];
    const also = (condition: string, value: unknown) =>
      value === undefined ? '' : `and ${condition} $${parameters.push(value)}`;
    const rows = await this.query<Row>(
      `select ${COLUMNS} from webhook_deliveries d join webhook_messages m on m.id = d.message_id
       where d.webhook_id = $1 ${also('d.message_id <', before)} ${also('d.state =', state)}
       order by d.message_id desc limit $2`,
      parameters,
    );
    return rows.map(viewOf);
  }
}

function viewOf(row: Row): DeliveryView {
  return {
    ...row,
    createdAt: new Date(row.createdAt),
    nextAttemptAt: row.nextAttemptAt === null ? null : new Date(row.nextAttemptAt),
  };
}

/** The deliveries that a connection or a transaction sees. */
export function webhookDeliveriesIn(em: EntityManager): WebhookDeliveryRepository {
  return new WebhookDeliveryRepository(em, WebhookDelivery);
}
