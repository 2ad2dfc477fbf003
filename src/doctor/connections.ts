import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

/** What a replica opens in addition to COUNTERSIGN_DB_POOL_MAX: looks, and background work. */
const OWN_WORK = 5;

export const CONNECTIONS = {
  'connections.ok': {
    state: 'ok',
    says: '{seen}, at up to {each} connections each; there is room for {room}, of {max} connections',
  },
  'connections.tight': {
    state: 'warning',
    says: '{seen}, at up to {each} connections each, and room for {room}, of {max} connections: a rollout starts one more than there is room for',
    todo: 'raise max_connections, or lower COUNTERSIGN_DB_POOL_MAX',
  },
  'connections.short': {
    state: 'failure',
    says: '{seen}, at up to {each} connections each, but room for {room}, of {max} connections: under load calls are refused as OVERLOADED',
    todo: 'raise max_connections, lower COUNTERSIGN_DB_POOL_MAX, or put a pooler in front',
  },
  'connections.pooled': {
    state: 'ok',
    says: 'a replica takes up to {each} connections of the pooler; what it may take is told to the pooler only',
  },
} as const satisfies Sentences;

const say = findings(CONNECTIONS);

type Room = { max: number; others: number; ours: number; places: number };

/** Whether the replicas that are connected have the connections that they may take. */
export async function checkConnections(database: Database, poolMax: number): Promise<Finding[]> {
  const each = poolMax + OWN_WORK;
  if (!(await database.isDirect())) return [say('connections.pooled', { each })];
  const [room] = await database.ask<Room>(
    `select least(
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int,
         nullif((select rolconnlimit from pg_roles where rolname = current_user), -1),
         nullif((select datconnlimit from pg_database where datname = current_database()), -1)
       ) as max,
       count(*) filter (where application_name = 'countersign' and datname = current_database())::int
         as ours,
       count(*) filter (where backend_type = 'client backend' and pid <> pg_backend_pid()
         and application_name not like 'countersign%')::int as others,
       count(distinct client_addr)
         filter (where application_name = 'countersign' and datname = current_database())::int as places
     from pg_stat_activity`,
  );
  const { max = 0, others = 0, ours = 0, places = 0 } = room ?? {};
  // Replicas on one machine have one address, and idle ones few connections.
  const replicas = Math.max(places, Math.ceil(ours / each));
  const fits = Math.max(Math.floor((max - others) / each), 0);
  const seen = replicas === 1 ? '1 replica is connected' : `${replicas} replicas are connected`;
  const values = { seen, each, room: fits, max };
  if (fits < Math.max(replicas, 1)) return [say('connections.short', values)];
  return [say(fits === replicas ? 'connections.tight' : 'connections.ok', values)];
}
