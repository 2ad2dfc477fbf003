import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { Webhook } from './webhook.entity.ts';

/** How long a replica may send to a webhook without renewing its lease. */
export const LEASE_MS = 60_000;

/** By the clock of the database itself: replicas must agree on it. */
const LEASED = `statement_timestamp() + interval '${LEASE_MS} ms'`;

/** Which replica sends to which webhook: one at a time, the others leave it alone (E03). */
export class WebhookLeaseRepository extends Repository<Webhook> {
  /**
   * Leases webhooks that have something due and that no other replica sends to: those that work before
   * those that fail, the longest unserved first. Returns their ids.
   */
  async take(
    replica: string,
    { except, most }: { except: readonly string[]; most: number },
    now: Date,
  ): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `with free as (
         select id from webhooks w
         where state = 'enabled' and deleted_at is null and id <> all($2::uuid[])
           and (leased_until is null or leased_until <= statement_timestamp() or leased_by = $1)
           and (pause_until is null or pause_until <= $3)
           and exists (
             select from webhook_deliveries d
             where d.webhook_id = w.id and d.state = 'pending' and d.next_attempt_at <= $3)
         order by failing_since is not null, leased_until nulls first, id
         limit $4 for no key update skip locked)
       update webhooks w set leased_by = $1, leased_until = ${LEASED}
       from free where w.id = free.id returning w.id`,
      [replica, [...except], now, most],
    );
    return rows.map(({ id }) => id);
  }

  /** Extends leases. Returns the ids of those that the replica still has and may use. */
  async renew(replica: string, ids: readonly string[]): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `update webhooks set leased_until = ${LEASED}
       where leased_by = $1 and id = any($2::uuid[]) and state = 'enabled' and deleted_at is null
       returning id`,
      [replica, [...ids]],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Gives a lease back, with the time until which nothing is sent to this URL, if there is one: it does
   * not hold for another.
   */
  async release(
    replica: string,
    { id, url }: { id: string; url: string },
    pauseUntil: Date | null,
  ): Promise<void> {
    await this.query(
      `update webhooks set leased_by = null, leased_until = statement_timestamp(),
         pause_until = case when url = $3 then $4::timestamptz else pause_until end
       where id = $2 and leased_by = $1`,
      [replica, id, url, pauseUntil],
    );
  }

  /** Notes since when the target at this URL has been failing; null if it answers. */
  async noteFailing(
    replica: string,
    { id, url }: { id: string; url: string },
    since: Date | null,
  ): Promise<void> {
    await this.query(
      'update webhooks set failing_since = $4 where id = $2 and leased_by = $1 and url = $3',
      [replica, id, url, since],
    );
  }
}

/** The leases that a connection or a transaction sees. */
export function webhookLeasesIn(em: EntityManager): WebhookLeaseRepository {
  return new WebhookLeaseRepository(em, Webhook);
}
