import { LockMode } from '@mikro-orm/core';
import { Failure } from '../platform/failure.ts';
import { lock } from '../platform/locks.ts';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { Webhook } from './webhook.entity.ts';

/** Deliveries deleted in one statement. */
const BATCH = 1000;

/** A webhook that gets new events, as the fan-out needs it. */
export type Subscriber = Pick<Webhook, 'id' | 'eventTypes' | 'createdAt'>;

export class WebhookRepository extends Repository<Webhook> {
  /** The webhook with this id. Throws `NOT_FOUND`. */
  async get(id: string): Promise<Webhook> {
    return found(await this.findOne({ id: id.toLowerCase(), deletedAt: null }));
  }

  /** The same, locked until the transaction ends. */
  async lock(id: string): Promise<Webhook> {
    return found(await this.lockLive(id.toLowerCase()));
  }

  /** The same, if there is one. */
  lockLive(id: string): Promise<Webhook | null> {
    return this.findOne({ id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  }

  /** Returns how many webhooks there are. Nobody else adds one until the transaction ends. */
  async countLocked(): Promise<number> {
    await lock(this.em, 'webhooks');
    return this.count({ deletedAt: null });
  }

  /** The webhooks that get new events. */
  async subscribers(): Promise<Subscriber[]> {
    const rows = await this.query<Omit<Subscriber, 'createdAt'> & { createdAt: string }>(
      `select id, event_types as "eventTypes", created_at as "createdAt"
       from webhooks where state <> 'disabled' order by id`,
    );
    return rows.map((row) => ({ ...row, createdAt: timestamp(row.createdAt) }));
  }

  /**
   * Deletes some of the deliveries of deleted webhooks, and the webhooks that have none left. Returns
   * whether there may be more.
   */
  async forgetDeleted(): Promise<boolean> {
    const gone = await this.query(
      `delete from webhook_deliveries where (webhook_id, message_id) in (
         select d.webhook_id, d.message_id from webhooks w join webhook_deliveries d on d.webhook_id = w.id
         where w.deleted_at is not null limit ${BATCH} for update of d skip locked)
       returning 1`,
    );
    if (gone.length === BATCH) return true;
    await this.query(
      `delete from webhooks where id in (
         select id from webhooks w where deleted_at is not null
           and not exists (select from webhook_deliveries d where d.webhook_id = w.id)
         for update skip locked)`,
    );
    return false;
  }
}

/** The webhooks that a connection or a transaction sees. */
export function webhooksIn(em: EntityManager): WebhookRepository {
  return new WebhookRepository(em, Webhook);
}

function found(webhook: Webhook | null): Webhook {
  if (webhook) return webhook;
  throw new Failure('not_found', 'NOT_FOUND', 'there is no such webhook');
}
