import { Repository } from '../platform/repository.ts';
import type { EntityManager } from '../platform/sql.ts';
import { ScopeUseRow } from './scope-use.entity.ts';

/** Rows deleted in one statement. */
const BATCH = 1000;
/** How many scopes a key may lack, not counting permissions that exist. Callers can make names up. */
const MAX_UNKNOWN = 50;
/** How many days are kept, the present one included. */
export const KEPT_DAYS = 30;

/** A scope that a request needed, on a day (`2026-11-22`, UTC). */
export type ScopeNote = { apiKeyId: string; scope: string; isMissing: boolean; day: string };

/** The days on which a key used a scope, and those on which it lacked it, in order. */
export type ScopeDays = { apiKeyId: string; scope: string; usedOn: string[]; missingOn: string[] };

const MERGED = (column: string) => `array(
  select distinct day from unnest(s.${column} || excluded.${column}) as day
  where day > greatest(s.noted_on, excluded.noted_on) - ${KEPT_DAYS} order by day)`;

export class ScopeUseRepository extends Repository<ScopeUseRow> {
  /**
   * Adds what a replica has noted, in one statement. What is known already is not written, and rows are
   * locked in the order of the primary key, so that replicas that write at once only wait for each other.
   * Leaves out keys that no longer work (C13), and waits for none that is being deleted.
   */
  async add(notes: readonly ScopeNote[]): Promise<void> {
    await this.query(
      `with noted as (
         select api_key_id, scope, max(day) as noted_on,
           coalesce(array_agg(distinct day) filter (where not missing), '{}') as used_on,
           coalesce(array_agg(distinct day) filter (where missing), '{}') as missing_on
         from unnest($1::uuid[], $2::text[], $3::bool[], $4::date[]) as n (api_key_id, scope, missing, day)
         group by api_key_id, scope
       ), live as (
         select k.id from api_keys k where k.id = any($1::uuid[]) and k.revoked_at is null
           and not exists (select from service_accounts o
             where o.id = k.service_account_id and o.state = 'deleted')
         for key share of k skip locked
       ), news as (
         select n.*, s.scope is not null or n.used_on <> '{}'
             or exists (select from permissions p where p.name = n.scope) as is_free,
           row_number() over (partition by n.api_key_id order by n.scope) as place
         from noted n join live on live.id = n.api_key_id
           left join scope_uses s on s.api_key_id = n.api_key_id and s.scope = n.scope
         where s.scope is null or not (s.used_on @> n.used_on and s.missing_on @> n.missing_on)
       )
       insert into scope_uses as s (api_key_id, scope, used_on, missing_on, noted_on)
       select api_key_id, scope, used_on, missing_on, noted_on from news n
       where is_free or ${MAX_UNKNOWN} >= place +
         (select count(*) from scope_uses o where o.api_key_id = n.api_key_id)
       order by api_key_id, scope
       on conflict (api_key_id, scope) do update set used_on = ${MERGED('used_on')},
         missing_on = ${MERGED('missing_on')}, noted_on = greatest(s.noted_on, excluded.noted_on)`,
      [
        notes.map(({ apiKeyId }) => apiKeyId),
        notes.map(({ scope }) => scope),
        notes.map(({ isMissing }) => isMissing),
        notes.map(({ day }) => day),
      ],
    );
  }

  /** What is known of some keys, by the names of the scopes. */
  async ofKeys(ids: readonly string[]): Promise<ScopeDays[]> {
    return this.query<ScopeDays>(
      `select api_key_id as "apiKeyId", scope, used_on::text[] as "usedOn",
         missing_on::text[] as "missingOn"
       from scope_uses where api_key_id = any($1::uuid[]) order by api_key_id, scope`,
      [ids],
    );
  }

  /** Deletes what is known of the keys of a user or service account. */
  async eraseOf(ownerId: string): Promise<void> {
    await this.query(
      `delete from scope_uses where (api_key_id, scope) in
       (select s.api_key_id, s.scope from api_keys k join scope_uses s on s.api_key_id = k.id
        where k.account_id = $1 or k.service_account_id = $1
        order by s.api_key_id, s.scope for update of s)`,
      [ownerId],
    );
  }

  /** Deletes some of what is older than the days that are kept. Returns whether there may be more. */
  async forgetOld(now: Date): Promise<boolean> {
    return this.#forget(
      `select s.api_key_id, s.scope from scope_uses s
       where s.noted_on <= ($1::timestamptz at time zone 'utc')::date - ${KEPT_DAYS}`,
      [now],
    );
  }

  /** Deletes some of what is known of keys that were revoked. Returns whether there may be more. */
  async forgetRevoked(): Promise<boolean> {
    return this.#forget(
      `select s.api_key_id, s.scope from api_keys k join scope_uses s on s.api_key_id = k.id
       where k.revoked_at is not null`,
    );
  }

  async #forget(which: string, parameters: readonly unknown[] = []): Promise<boolean> {
    const gone = await this.query(
      `delete from scope_uses where (api_key_id, scope) in
       (${which} limit ${BATCH} for update of s skip locked) returning 1`,
      parameters,
    );
    return gone.length === BATCH;
  }
}

/** What a connection or a transaction sees of the use of scopes. */
export function scopeUsesIn(em: EntityManager): ScopeUseRepository {
  return new ScopeUseRepository(em, ScopeUseRow);
}
