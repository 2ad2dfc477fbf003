import { v7 as uuidv7 } from 'uuid';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { Revocation } from './revocation.entity.ts';
import type { RecordedRevocation, RevocationTarget } from './revocation-target.ts';

const FORGET_BATCH = 1000;
/** Of how many holders of a role the tokens are revoked in one statement, while an operator waits. */
const MAX_HOLDERS = 10_000;

type Row = {
  lookedAt: string;
  id: string | null;
  kind: string;
  target: string;
  notBefore: string | null;
  cause: string;
  createdAt: string;
  createdAtMicros: string;
  expiresAt: string;
};

/** What a look at the table found, and when: microseconds by the database's clock. */
export type RevocationLook = { lookedAtMicros: number; found: RecordedRevocation[] };

const MICROS = (time: string) => `(extract(epoch from ${time}) * 1000000)::bigint::text`;

const LOOK = `
  select look.at as "lookedAt", r.id, r.kind, r.target, r.not_before as "notBefore", r.cause,
    r.created_at as "createdAt", ${MICROS('r.created_at')} as "createdAtMicros",
    r.expires_at as "expiresAt"
  from (select ${MICROS('statement_timestamp()')} as at) look
  left join revocations r
    on r.created_at > to_timestamp($1::bigint / 1000000.0) and r.expires_at > $2
  order by r.created_at, r.id`;

/** The statements on revocations. */
export class RevocationRepository extends Repository<Revocation> {
  /** Finds the revocations in force that were stamped after a moment (microseconds), oldest first. */
  async look(sinceMicros: number, now: Date): Promise<RevocationLook> {
    const rows = await this.query<Row>(LOOK, [Math.max(Math.floor(sinceMicros), 0), now]);
    const found = rows.map(recorded).filter((each) => each !== undefined);
    return { lookedAtMicros: Number(rows[0]?.lookedAt), found };
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
      cause,
      expiresAt,
    }));
    await this.em.insertMany(this.entityName, rows);
  }

  /**
   * Revokes what was issued before a moment to the holders of a role who have refreshed since
   * `activeSince`, in one statement: to 10,000 users and 10,000 service accounts at most.
   */
  async recordHolders(
    role: string,
    { notBefore, activeSince }: { notBefore: Date; activeSince: Date },
    cause: string,
    expiresAt: Date,
  ): Promise<void> {
    await this.query(
      `insert into revocations (id, kind, target, not_before, cause, expires_at)
       select gen_random_uuid(), 'subject', a.id::text, $2, $4, $5
       from (
         (select id, true as is_user from accounts where roles @> array[$1::text] limit ${MAX_HOLDERS})
         union all
         (select id, false from service_accounts where roles @> array[$1::text] limit ${MAX_HOLDERS})
       ) a
       where not a.is_user or exists (
         select 1 from sessions s where s.account_id = a.id and s.refreshed_at > $3
       )`,
      [role, notBefore, activeSince, cause, expiresAt],
    );
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
function targetOf({ kind, target: id, notBefore, createdAt }: Row): RevocationTarget | undefined {
  switch (kind) {
    case 'session':
    case 'token':
    case 'api_key':
    case 'signing_key':
      return { kind, id };
    case 'subject':
      return { kind, id, notBefore: timestamp(notBefore ?? createdAt) };
    default:
      return undefined;
  }
}
