import { v7 as uuidv7 } from 'uuid';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import {
  PLACE,
  placeOf,
  placeParameters,
  type TablePlace,
  unseen,
} from '../platform/table-place.ts';
import { Revocation } from './revocation.entity.ts';
import type { RecordedRevocation, RepeatedTarget, RevocationTarget } from './revocation-target.ts';

const FORGET_BATCH = 1000;
/** How many holders of a role have their tokens revoked in one statement, while an operator waits. */
const MAX_HOLDERS = 10_000;
const NOBODY = '00000000-0000-0000-0000-000000000000';

type Row = {
  lookedAt: string;
  horizon: string;
  id: string | null;
  kind: string;
  target: string;
  notBefore: string | null;
  belowVersion: number | null;
  cause: string;
  createdAt: string;
  createdAtMicros: string;
  expiresAt: string;
};

/** What a look at the table found, and the place that the follower has then. */
export type RevocationLook = { place: TablePlace; found: RecordedRevocation[] };

/** Revokes everything that is issued to the holders of a role until `aheadMs` from now. */
export type HoldersRevocation = {
  role: string;
  aheadMs: number;
  activeSince: Date;
  cause: string;
  expiresAt: Date;
};

/** How far a revocation of the holders of a role has come: its moment, and the last holder it reached. */
export type HoldersTold = { moment: string; last: string; isLast: boolean };

const MICROS = (time: string) => `(extract(epoch from ${time}) * 1000000)::bigint::text`;

const LOOK = `
  select look.*, r.id, r.kind, r.target, r.not_before as "notBefore",
    r.below_version as "belowVersion", r.cause,
    r.created_at as "createdAt", ${MICROS('r.created_at')} as "createdAtMicros",
    r.expires_at as "expiresAt"
  from (select ${PLACE}) look
  left join revocations r on ${unseen('r', 'created_at')} and r.expires_at > $4
  order by r.created_at, r.id`;

/** The statements on revocations. */
export class RevocationRepository extends Repository<Revocation> {
  /** Finds the revocations in force that the last look may not have seen, oldest first. */
  async look(last: TablePlace, now: Date): Promise<RevocationLook> {
    const rows = await this.query<Row>(LOOK, [...placeParameters(last), now]);
    const found = rows.map(recorded).filter((each) => each !== undefined);
    return { place: placeOf(rows[0]), found };
  }

  /** Records revocations in the transaction of their cause. */
  async record(
    targets: readonly RevocationTarget[],
    cause: string,
    expiresAt: Date,
  ): Promise<void> {
    if (targets.length === 0) return;
    const rows = targets.map((target) => ({
      id: uuidv7(),
      kind: target.kind,
      target: target.id,
      notBefore: target.kind === 'subject' ? target.notBefore : null,
      belowVersion: null,
      cause,
      expiresAt,
    }));
    await this.em.insertMany(this.entityName, rows);
  }

  /**
   * Raises the token version of a user or service account, and revokes all lower ones, in one statement.
   * Returns the version; undefined if there is no such account.
   */
  async recordSubject(
    { id, notBefore }: { id: string; notBefore: Date },
    cause: string,
    expiresAt: Date,
  ): Promise<number | undefined> {
    const rows = await this.query<{ belowVersion: number }>(
      `with users as (
         update accounts set token_version = token_version + 1 where id = $1::uuid
         returning token_version
       ), programs as (
         update service_accounts set token_version = token_version + 1 where id = $1::uuid
         returning token_version
       )
       insert into revocations (id, kind, target, not_before, below_version, cause, expires_at)
       select gen_random_uuid(), 'subject', $1::uuid::text, $2, v.token_version, $3, $4
       from (table users union all table programs) v
       returning below_version as "belowVersion"`,
      [id, notBefore, cause, expiresAt],
    );
    return rows[0]?.belowVersion;
  }

  /**
   * Revokes what was issued to the holders of a role who have refreshed since `activeSince` or have an API
   * key, in one statement: to the first 10,000, or the next 10,000 after those in `told`. The time is the
   * database's (S15).
   */
  async recordHolders(revocation: HoldersRevocation, told?: HoldersTold): Promise<HoldersTold> {
    const { role, aheadMs, activeSince, cause, expiresAt } = revocation;
    const after = 'id > $6::uuid order by id limit $7';
    const [row] = await this.query<{ moment: string; last: string | null; count: number }>(
      `with moment as (
         select coalesce($8::timestamptz, clock_timestamp() + $2 * interval '1 millisecond') as at
       ), holders as (
         select * from (
           (select id, true as is_user from accounts where roles @> array[$1::text] and ${after})
           union all
           (select id, false from service_accounts where roles @> array[$1::text] and ${after})
         ) each order by id limit $7
       ), told as (
         insert into revocations (id, kind, target, not_before, cause, expires_at)
         select gen_random_uuid(), 'subject', a.id::text, moment.at, $4, $5
         from holders a, moment
         where not a.is_user or exists (
           select 1 from sessions s where s.account_id = a.id and s.refreshed_at > $3
         ) or exists (select 1 from api_keys k where k.account_id = a.id and k.revoked_at is null)
       )
       select (select at from moment)::text as moment, max(id::text) as last, count(*)::int as count
       from holders`,
      [
        role,
        aheadMs,
        activeSince,
        cause,
        expiresAt,
        told?.last ?? NOBODY,
        MAX_HOLDERS,
        told?.moment,
      ],
    );
    const { moment = '', last, count = 0 } = row ?? {};
    return { moment, last: last ?? NOBODY, isLast: count < MAX_HOLDERS };
  }

  /**
   * Records the latest of each of these revocations again, if it is still in force, so that anyone who
   * missed it hears of it. Nothing more is revoked than was before. Each time it must be twice as old as
   * the last time, and at least a second: every record is told to all watchers, and kept.
   */
  async repeat(targets: readonly RepeatedTarget[], now: Date): Promise<void> {
    await this.query(
      `insert into revocations (id, kind, target, not_before, below_version, cause, expires_at)
       select gen_random_uuid(), l.kind, l.target, l.not_before, l.below_version, l.cause, l.expires_at
       from (
         select distinct on (r.kind, r.target, r.below_version is null) r.*,
           min(r.created_at) over same as first_at, max(r.created_at) over same as last_at
         from unnest($1::text[], $2::text[]) as t (kind, target)
         join revocations r on r.kind = t.kind and r.target = t.target and r.expires_at > $3
         window same as (
           partition by r.kind, r.target, r.not_before, r.below_version, r.expires_at
         )
         order by r.kind, r.target, r.below_version is null, r.below_version desc,
           r.not_before desc nulls last, r.expires_at desc
       ) l
       where clock_timestamp() - l.last_at >= greatest(interval '1 second', l.last_at - l.first_at)`,
      [targets.map(({ kind }) => kind), targets.map(({ id }) => id), now],
    );
  }

  /**
   * The same for everything of a user or service account that has been revoked: itself, its sessions and
   * its keys.
   */
  async repeatAllOf(subject: string, now: Date): Promise<void> {
    const rows = await this.query<RepeatedTarget>(
      `select 'subject' as kind, $1::text as id
       union all
       select 'session', id::text from sessions where account_id = $1::uuid and ended_at is not null
       union all
       select 'api_key', id::text from api_keys
       where $1::uuid in (account_id, service_account_id) and revoked_at is not null`,
      [subject],
    );
    await this.repeat(rows, now);
  }

  /** Deletes some of the rows whose tokens have all expired. Returns whether there may be more. */
  async forgetExpired(now: Date): Promise<boolean> {
    const gone = await this.query(
      `delete from revocations where id in
       (select id from revocations where expires_at <= $1 limit ${FORGET_BATCH}) returning 1`,
      [now],
    );
    return gone.length === FORGET_BATCH;
  }
}

/** The revocations that a connection or a transaction sees. */
export function revocationsIn(em: EntityManager): RevocationRepository {
  return new RevocationRepository(em, Revocation);
}

function recorded(row: Row): RecordedRevocation | undefined {
  const target = row.id === null ? undefined : targetOf(row);
  return (
    target && {
      rowId: row.id ?? '',
      target,
      cause: row.cause,
      createdAtMicros: Number(row.createdAtMicros),
      expiresAt: timestamp(row.expiresAt),
    }
  );
}

/** Undefined for a kind that only a newer version of the program knows. */
function targetOf(row: Row): RevocationTarget | undefined {
  const { kind, target: id, notBefore, belowVersion, createdAt } = row;
  switch (kind) {
    case 'session':
    case 'token':
    case 'api_key':
    case 'signing_key':
      return { kind, id };
    case 'subject':
      return {
        kind,
        id,
        notBefore: timestamp(notBefore ?? createdAt),
        belowVersion: belowVersion ?? undefined,
      };
    default:
      return undefined;
  }
}
