import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { KEPT_ATTEMPTS, type WebhookAttempt, WebhookDelivery } from './webhook-delivery.entity.ts';

/** How many waiting deliveries are hurried in one statement. */
const HURRIED = 1000;

/** Whether the attempt that is written down was the next one of the schedule. */
const UNCHANGED = 'd.retry_step = n.step - 1';

/** A delivery that is due. */
export type DueDelivery = {
  messageId: string;
  payload: Uint8Array;
  createdAt: Date;
  step: number;
};

/** A webhook as its sender needs it. */
export type WebhookTarget = {
  url: string;
  secret: Uint8Array;
  previousSecret: Uint8Array | null;
  previousUntil: Date | null;
  failingSince: Date | null;
};

/** What became of an attempt, to be written down. */
export type NotedAttempt = {
  messageId: string;
  state: WebhookDelivery['state'];
  nextAttemptAt: Date | null;
  step: number;
  attempt: WebhookAttempt;
};

type Row = Omit<DueDelivery, 'createdAt'> &
  Omit<WebhookTarget, 'previousUntil' | 'failingSince'> & {
    createdAt: string;
    previousUntil: string | null;
    failingSince: string | null;
  };

/** The deliveries of a webhook whose lease a replica has. */
export class DueDeliveryRepository extends Repository<WebhookDelivery> {
  /**
   * The webhook and its deliveries that are due, without those that are under way; nothing if the replica
   * has lost its lease, or it may not be sent to any more.
   */
  async due(
    replica: string,
    webhookId: string,
    { except, most }: { except: readonly string[]; most: number },
    now: Date,
  ): Promise<{ target: WebhookTarget | undefined; deliveries: DueDelivery[] }> {
    const rows = await this.query<Row>(
      `select w.url, w.secret, w.previous_secret as "previousSecret",
         w.previous_until as "previousUntil", w.failing_since as "failingSince",
         d.message_id as "messageId", d.created_at as "createdAt", d.retry_step as step, m.payload
       from webhooks w
       join webhook_deliveries d on d.webhook_id = w.id
       join webhook_messages m on m.id = d.message_id
       where w.id = $2 and w.leased_by = $1 and w.state = 'enabled' and w.deleted_at is null
         and d.state = 'pending' and d.next_attempt_at <= $3 and d.message_id <> all($4::uuid[])
       order by d.next_attempt_at, d.message_id limit $5`,
      [replica, webhookId, now, [...except], most],
    );
    const [first] = rows;
    return {
      target: first && {
        ...first,
        previousUntil: time(first.previousUntil),
        failingSince: time(first.failingSince),
      },
      deliveries: rows.map(({ messageId, payload, createdAt, step }) => ({
        messageId,
        payload,
        createdAt: timestamp(createdAt),
        step,
      })),
    };
  }

  /**
   * Writes down attempts, unless the replica has lost the lease. What has been asked for again meanwhile
   * stays due. Returns true.
   */
  async note(replica: string, webhookId: string, attempts: readonly NotedAttempt[]): Promise<true> {
    await this.query(
      `update webhook_deliveries d
       set state = case when ${UNCHANGED} then n.state else d.state end,
         next_attempt_at = case when ${UNCHANGED} then n."nextAttemptAt" else d.next_attempt_at end,
         retry_step = case when ${UNCHANGED} then n.step else d.retry_step end,
         attempt_count = attempt_count + 1,
         attempts = case when jsonb_array_length(d.attempts) < ${KEPT_ATTEMPTS} then d.attempts
           else d.attempts - 0 end || jsonb_build_array(n.attempt)
       from json_to_recordset($3::json) as n
         ("messageId" uuid, state text, "nextAttemptAt" timestamptz, step smallint, attempt jsonb)
       where d.webhook_id = $2 and d.message_id = n."messageId" and d.state = 'pending'
         and exists (select from webhooks where id = $2 and leased_by = $1)`,
      [replica, webhookId, JSON.stringify(attempts)],
    );
    return true;
  }

  /**
   * Makes deliveries due that wait for their next attempt, each only once however often its target comes
   * back. Returns whether there were any.
   */
  async hurry(webhookId: string, now: Date): Promise<boolean> {
    const rows = await this.query(
      `update webhook_deliveries set hurried = true, next_attempt_at = $2
       where webhook_id = $1 and message_id in (
         select message_id from webhook_deliveries
         where webhook_id = $1 and state = 'pending' and not hurried and next_attempt_at > $2
         order by next_attempt_at, message_id limit ${HURRIED})
       returning 1`,
      [webhookId, now],
    );
    return rows.length > 0;
  }
}

/** The deliveries that a connection or a transaction sees. */
export function dueDeliveriesIn(em: EntityManager): DueDeliveryRepository {
  return new DueDeliveryRepository(em, WebhookDelivery);
}

function time(text: string | null): Date | null {
  return text === null ? null : timestamp(text);
}
