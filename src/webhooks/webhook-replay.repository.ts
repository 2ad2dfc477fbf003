import { v7 as uuidv7 } from 'uuid';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import type { Webhook } from './webhook.entity.ts';
import { WebhookReplay } from './webhook-replay.entity.ts';

/** A range that is under way, and the webhook that it is for. */
export type ReplayRow = Pick<WebhookReplay, 'id' | 'startsAt' | 'endsAt' | 'afterEvent'> & {
  webhookId: string;
  eventTypes: Webhook['eventTypes'];
};

type Stored = Omit<ReplayRow, 'startsAt' | 'endsAt'> & { startsAt: string; endsAt: string };

const FIRST = '00000000-0000-0000-0000-000000000000';

export class WebhookReplayRepository extends Repository<WebhookReplay> {
  /** Adds a range of events that a webhook is to get again. */
  add(webhook: string, range: { startsAt: Date; endsAt: Date }): void {
    this.em.persist(this.create({ id: uuidv7(), webhook, ...range, afterEvent: FIRST }));
  }

  async areAny(): Promise<boolean> {
    return (await this.query('select from webhook_replays limit 1')).length > 0;
  }

  /** The oldest range that nobody is at, locked until the transaction ends. */
  async lockNext(): Promise<ReplayRow | undefined> {
    const [row] = await this.query<Stored>(
      `select r.id, r.webhook_id as "webhookId", w.event_types as "eventTypes",
         r.starts_at as "startsAt", r.ends_at as "endsAt", r.after_event as "afterEvent"
       from webhook_replays r join webhooks w on w.id = r.webhook_id
       order by r.id limit 1 for update of r skip locked for key share of w`,
    );
    if (!row) return undefined;
    return { ...row, startsAt: timestamp(row.startsAt), endsAt: timestamp(row.endsAt) };
  }

  async moveTo(id: string, event: string): Promise<void> {
    await this.query('update webhook_replays set after_event = $2 where id = $1', [id, event]);
  }

  async finish(id: string): Promise<void> {
    await this.query('delete from webhook_replays where id = $1', [id]);
  }
}

/** The ranges under way that a connection or a transaction sees. */
export function webhookReplaysIn(em: EntityManager): WebhookReplayRepository {
  return new WebhookReplayRepository(em, WebhookReplay);
}
