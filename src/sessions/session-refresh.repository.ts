import { addMs } from '../platform/clock.ts';
import { Repository } from '../platform/repository.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { Session } from './session.entity.ts';

/** The exchange of a refresh token: what the database compares, and what it stores. */
export type Rotation = {
  sessionId: string;
  generation: number;
  hash: Uint8Array;
  keyVersion: number;
  successor: { hash: Uint8Array; keyVersion: number };
  idleTtlMs: number;
};

/** A session, with what its owner may do at this moment. */
export type RefreshedSession = {
  sessionId: string;
  accountId: string;
  amr: string[];
  /** The configured name of the identity provider, of a sign-in by one. */
  idp: string | null;
  authTime: Date;
  refreshedAt: Date;
  expiresAt: Date;
  roles: string[];
  /** Read together with the roles: it revokes the token once any of them is taken away. */
  tokenVersion: number;
  emailVerified: boolean;
};

type Row = Omit<RefreshedSession, 'authTime' | 'refreshedAt' | 'expiresAt'> & {
  authTime: string;
  refreshedAt: string;
  expiresAt: string;
};

/** A session after its last exchange: when that was, and the time now, both by the database's clock. */
export type LastExchange = { session: RefreshedSession; rotatedMs: number; nowMs: number };

const MILLIS = (time: string) => `(extract(epoch from ${time}) * 1000)::float8`;

const OWNER = `
  s.id as "sessionId", s.account_id as "accountId", s.amr, s.idp, s.auth_time as "authTime",
  s.refreshed_at as "refreshedAt", s.expires_at as "expiresAt", a.roles,
  a.token_version as "tokenVersion",
  a.email_verified_at is not null as "emailVerified"`;

/**
 * The exchange of many tokens. Sessions that others hold locked are passed over, so that it waits for
 * nobody, and two of these can't wait for each other.
 *
 * The arrays are subqueries so that the planner can't count them: its plan for any number of tokens is
 * the same, and made once.
 */
const ROTATE_ALL = {
  name: 'rotate-sessions',
  text: `
    with live as (
      select q.n, q.next_hash, q.next_key_version, s.id, a.roles, a.token_version,
        a.email_verified_at
      from unnest((select $1::uuid[]), (select $2::int[]), (select $3::bytea[]),
          (select $4::int[]), (select $5::bytea[]), (select $6::int[]), (select $7::float8[]))
        with ordinality as q
          (id, generation, hash, key_version, next_hash, next_key_version, idle_ttl_ms, n)
        join sessions s on s.id = q.id and s.refresh_generation = q.generation
          and s.refresh_hash = q.hash and s.refresh_key_version = q.key_version
        join accounts a on a.id = s.account_id
      where s.ended_at is null and s.expires_at > $8 and a.state = 'active'
        and s.refreshed_at > $8::timestamptz - q.idle_ttl_ms * interval '1 millisecond'
      for no key update of s skip locked
    )
    update sessions s
    set refresh_generation = s.refresh_generation + 1, refresh_hash = a.next_hash,
      refresh_key_version = a.next_key_version, refreshed_at = greatest($8, clock_timestamp())
    from live a
    where s.id = a.id
    returning a.n::int as place, ${OWNER}`,
};

/** The live tokens of browsers, of many, that were issued by exchanges less than `$7` ms ago. */
const FIND_RECENT = {
  name: 'find-recent-sessions',
  text: `
    select q.n::int as place, ${OWNER}
    from unnest((select $1::uuid[]), (select $2::int[]), (select $3::bytea[]),
        (select $4::int[]), (select $5::float8[]))
      with ordinality as q (id, generation, hash, key_version, idle_ttl_ms, n)
    join sessions s on s.id = q.id and s.refresh_generation = q.generation
      and s.refresh_hash = q.hash and s.refresh_key_version = q.key_version
    join accounts a on a.id = s.account_id
    where s.in_browser and s.ended_at is null and s.expires_at > $6 and a.state = 'active'
      and s.refreshed_at > $6::timestamptz - q.idle_ttl_ms * interval '1 millisecond'
      and coalesce(s.rotated_at, s.refreshed_at)
        > clock_timestamp() - $7::float8 * interval '1 millisecond'`,
};

/** The exchange of refresh tokens. */
export class SessionRefreshRepository extends Repository<Session> {
  /**
   * Replaces the live refresh token by its successor, in one statement. Returns undefined if the
   * presented token is not live, the session is over, or its owner may not sign in. Of several calls at
   * once, one replaces it; the others wait for its row and then no longer match.
   *
   * A statement that the database runs late, after a freeze, is recorded with the time when it ran.
   */
  async rotate(rotation: Rotation, now: Date): Promise<RefreshedSession | undefined> {
    const { successor } = rotation;
    const rows = await this.query<Row>(
      `update sessions s
       set refresh_generation = s.refresh_generation + 1, refresh_hash = $5,
           refresh_key_version = $6, refreshed_at = greatest($7, clock_timestamp())
       from accounts a
       where s.id = $1 and s.refresh_generation = $2 and s.refresh_hash = $3
         and s.refresh_key_version = $4 and s.ended_at is null and s.expires_at > $7
         and s.refreshed_at > $8 and a.id = s.account_id and a.state = 'active'
       returning ${OWNER}`,
      [
        rotation.sessionId,
        rotation.generation,
        rotation.hash,
        rotation.keyVersion,
        successor.hash,
        successor.keyVersion,
        now,
        addMs(now, -rotation.idleTtlMs),
      ],
    );
    return rows.map(refreshed)[0];
  }

  /**
   * Returns the session of each token that is the live one of a session in a browser and less than
   * `recentMs` old, by the database's clock. Changes nothing.
   */
  async findRecent(
    tokens: readonly Rotation[],
    now: Date,
    recentMs: number,
  ): Promise<(RefreshedSession | undefined)[]> {
    const rows = await this.queryPrepared<Row & { place: number }>(FIND_RECENT, [
      tokens.map(({ sessionId }) => sessionId),
      tokens.map(({ generation }) => generation),
      tokens.map(({ hash }) => hash),
      tokens.map(({ keyVersion }) => keyVersion),
      tokens.map(({ idleTtlMs }) => idleTtlMs),
      now,
      recentMs,
    ]);
    return inPlaces(rows, tokens.length);
  }

  /**
   * Does for each of many tokens what `rotate` does for one, in one statement, but returns undefined for
   * a session that others have locked as well. Each token is judged by itself; of those that are the
   * same, one is exchanged.
   */
  async rotateAll(
    rotations: readonly Rotation[],
    now: Date,
  ): Promise<(RefreshedSession | undefined)[]> {
    const rows = await this.queryPrepared<Row & { place: number }>(ROTATE_ALL, [
      rotations.map(({ sessionId }) => sessionId),
      rotations.map(({ generation }) => generation),
      rotations.map(({ hash }) => hash),
      rotations.map(({ keyVersion }) => keyVersion),
      rotations.map(({ successor }) => successor.hash),
      rotations.map(({ successor }) => successor.keyVersion),
      rotations.map(({ idleTtlMs }) => idleTtlMs),
      now,
    ]);
    return inPlaces(rows, rotations.length);
  }

  /** The session in the shape that `rotate` returns; undefined if its owner may not sign in. */
  async findRefreshed(sessionId: string): Promise<LastExchange | undefined> {
    const rows = await this.query<Row & { rotatedMs: number; nowMs: number }>(
      `select ${OWNER}, ${MILLIS('coalesce(s.rotated_at, s.refreshed_at)')} as "rotatedMs",
         ${MILLIS('clock_timestamp()')} as "nowMs"
       from sessions s join accounts a on a.id = s.account_id
       where s.id = $1 and a.state = 'active'`,
      [sessionId],
    );
    return rows.map(({ rotatedMs, nowMs, ...row }) => ({
      session: refreshed(row),
      rotatedMs: Number(rotatedMs),
      nowMs: Number(nowMs),
    }))[0];
  }
}

/** The exchange of refresh tokens on a connection or in a transaction. */
export function sessionRefreshesIn(em: EntityManager): SessionRefreshRepository {
  return new SessionRefreshRepository(em, Session);
}

/** The sessions of rows at their places, which count from 1. */
function inPlaces(
  rows: readonly (Row & { place: number })[],
  length: number,
): (RefreshedSession | undefined)[] {
  const found = new Map(rows.map(({ place, ...row }) => [place, refreshed(row)]));
  return Array.from({ length }, (_, index) => found.get(index + 1));
}

function refreshed(row: Row): RefreshedSession {
  return {
    ...row,
    authTime: timestamp(row.authTime),
    refreshedAt: timestamp(row.refreshedAt),
    expiresAt: timestamp(row.expiresAt),
  };
}
