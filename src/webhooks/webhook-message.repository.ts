import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { WebhookMessage } from './webhook-message.entity.ts';

/** Messages deleted in one statement, each with its deliveries. */
const BATCH = 200;
const KEPT_DAYS = 30;

export type MessageRow = Pick<WebhookMessage, 'id' | 'type' | 'payload'>;

export class WebhookMessageRepository extends Repository<WebhookMessage> {
  /** Writes those of the messages that are not there. */
  async insertMissing(messages: readonly MessageRow[], now: Date): Promise<void> {
    await this.query(
      `insert into webhook_messages (id, type, payload, created_at)
       select id, type, decode(payload, 'hex'), $4
       from unnest($1::uuid[], $2::text[], $3::text[]) as m (id, type, payload)
       on conflict (id) do nothing`,
      [
        messages.map(({ id }) => id),
        messages.map(({ type }) => type),
        messages.map(({ payload }) => Buffer.from(payload).toString('hex')),
        now,
      ],
    );
  }

  /** Deletes some of the old messages with their deliveries. Returns whether there may be more. */
  async forgetOld(now: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from webhook_messages where id in (
         select id from webhook_messages where created_at < $1::timestamptz - interval '${KEPT_DAYS} days'
         order by created_at limit ${BATCH} for update skip locked)
       returning 1`,
      [now],
    );
    return gone.length === BATCH;
  }
}

/** The messages to webhooks that a connection or a transaction sees. */
export function webhookMessagesIn(em: EntityManager): WebhookMessageRepository {
  return new WebhookMessageRepository(em, WebhookMessage);
}
