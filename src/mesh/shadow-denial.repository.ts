import { v7 as uuidv7 } from 'uuid';
import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { ShadowDenial } from './shadow-denial.entity.ts';

/** The number of rows that are kept: those whose requests came last. */
export const MAX_SHADOW_DENIALS = 1000;
/** After this many days without such a request a row is deleted. */
const KEPT_DAYS = 30;

export type ShadowCount = Pick<
  ShadowDenial,
  'rule' | 'reason' | 'subject' | 'apiKeyId' | 'count' | 'firstAt' | 'lastAt'
>;

export class ShadowDenialRepository extends Repository<ShadowDenial> {
  /**
   * Adds what a replica has counted, each kind once, in one statement. Rows are locked in one order, so
   * that replicas that write at once only wait for each other. Leaves out accounts that are gone (C13).
   */
  async add(counts: readonly ShadowCount[]): Promise<void> {
    await this.query(
      `insert into shadow_denials as d (id, rule, reason, subject, api_key_id, count, first_at, last_at)
       select n.* from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
         $7::timestamptz[], $8::timestamptz[])
         as n (id, rule, reason, subject, api_key_id, count, first_at, last_at)
       where not exists (select from accounts a
         where a.id = nullif(n.subject, '')::uuid and a.state = 'deleted')
       order by rule, reason, subject, api_key_id
       on conflict (rule, reason, subject, api_key_id) do update set count = d.count + excluded.count,
         first_at = least(d.first_at, excluded.first_at), last_at = greatest(d.last_at, excluded.last_at)`,
      [
        counts.map(() => uuidv7()),
        counts.map(({ rule }) => rule),
        counts.map(({ reason }) => reason),
        counts.map(({ subject }) => subject),
        counts.map(({ apiKeyId }) => apiKeyId),
        counts.map(({ count }) => count),
        counts.map(({ firstAt }) => firstAt),
        counts.map(({ lastAt }) => lastAt),
      ],
    );
  }

  /**
   * Deletes what is old, what is beyond the number of rows that are kept, and what came late about
   * accounts that are gone. There are never many, so it is one statement; it waits for no lock.
   */
  async forgetOver(now: Date): Promise<boolean> {
    await this.query(
      `delete from shadow_denials where id in (
         select d.id from shadow_denials d where d.last_at < $1::timestamptz - interval '${KEPT_DAYS} days'
           or d.last_at < (select last_at from shadow_denials order by last_at desc
             offset ${MAX_SHADOW_DENIALS - 1} limit 1)
           or exists (select from accounts a
             where a.id = nullif(d.subject, '')::uuid and a.state = 'deleted')
         for update of d skip locked)`,
      [now],
    );
    return false;
  }

  /** Lists what shadow mode let through, what was seen first most recently first. */
  async list(before: string | undefined, limit: number): Promise<ShadowDenial[]> {
    const where = before === undefined ? {} : { id: { $lt: before } };
    return this.find(where, { orderBy: { id: 'desc' }, limit });
  }

  /** Deletes what names a user. */
  async eraseOf(subject: string): Promise<void> {
    await this.query(
      `delete from shadow_denials where id in (select id from shadow_denials where subject = $1
         order by rule, reason, subject, api_key_id for update)`,
      [subject],
    );
  }
}

/** The denials of shadow mode that a connection or a transaction sees. */
export function shadowDenialsIn(em: EntityManager): ShadowDenialRepository {
  return new ShadowDenialRepository(em, ShadowDenial);
}
