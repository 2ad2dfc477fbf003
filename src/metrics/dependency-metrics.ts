import type { RoleBook } from '../access/role-book.ts';
import type { ApiKeyMemory } from '../api-keys/api-key-memory.ts';
import type { PasswordHasher } from '../passwords/password-hasher.ts';
import type { BreakerState, Breakers } from '../platform/breakers.ts';
import type { Clock } from '../platform/clock.ts';
import type { Sample } from '../platform/counts.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import type { RevocationFeed } from '../revocations/revocation-feed.ts';
import type { KeySet } from '../signing-keys/key-set.ts';

type Platform = {
  breakers: Breakers;
  clock: Clock;
  sql: SqlDatabase;
  redis: RedisClient | undefined;
};

const STATES = { closed: 0, 'half-open': 1, open: 2 } as const satisfies Record<
  BreakerState,
  number
>;

/** What the service depends on: the database, Redis, and whatever has a breaker (W13). */
export function dependencyMetrics(metrics: Metrics, { breakers, sql, redis }: Platform): void {
  metrics.gauge(
    {
      name: 'countersign_circuit_breaker_state',
      help: '0 closed; 1 half-open, the next question decides; 2 open, nothing is asked.',
      labels: ['dependency'],
    },
    () =>
      [...breakers.states()].map(([dependency, state]) => {
        return { labels: { dependency }, value: STATES[state] };
      }),
  );
  metrics.gauge(
    {
      name: 'countersign_db_pool_connections',
      help: 'Connections to PostgreSQL.',
      labels: ['pool', 'state'],
    },
    () =>
      sql.pools().flatMap(({ pool, idle, busy }): Sample[] => [
        { labels: { pool, state: 'idle' }, value: idle },
        { labels: { pool, state: 'busy' }, value: busy },
      ]),
  );
  const ofPools = (name: string, help: string, which: 'max' | 'waiting') =>
    metrics.gauge({ name, help, labels: ['pool'] }, () =>
      sql.pools().map((each) => ({ labels: { pool: each.pool }, value: each[which] })),
    );
  ofPools('countersign_db_pool_max', 'How many connections the pool may have.', 'max');
  ofPools('countersign_db_pool_waiting', 'Who waits for a connection at this moment.', 'waiting');
  if (!redis) return;
  metrics.gauge(
    { name: 'countersign_redis_connected', help: '1 if commands can be sent to Redis, else 0.' },
    () => [{ labels: {}, value: redis.status === 'ready' ? 1 : 0 }],
  );
}

type Memories = {
  revocations: RevocationFeed;
  roles: RoleBook;
  apiKeyMemory: ApiKeyMemory;
  keys: KeySet;
  passwords: PasswordHasher;
  clock: Clock;
};

/** What a replica knows by heart, and what it makes. */
export function memoryMetrics(metrics: Metrics, parts: Memories): void {
  const { revocations, roles, apiKeyMemory: api_keys, keys, passwords, clock } = parts;
  metrics.gauge(
    {
      name: 'countersign_followed_table_staleness_seconds',
      help: 'How long ago this replica has looked at a table that it knows by heart.',
      labels: ['table'],
    },
    () =>
      Object.entries({ revocations, roles, api_keys }).map(([table, { lookedAgoMs }]) => {
        return { labels: { table }, value: lookedAgoMs / 1000 };
      }),
  );
  metrics.histogram(
    {
      name: 'countersign_revocation_lag_seconds',
      help: 'From the statement that revokes to the look by which this replica knows of it.',
    },
    () => revocations.lag.all,
  );
  metrics.gauge(
    { name: 'countersign_signing_key_age_seconds', help: 'How long the present key has signed.' },
    () => {
      const since = keys.signingSince;
      return since ? [{ labels: {}, value: (+clock.now() - +since) / 1000 }] : [];
    },
  );
  metrics.histogram(
    {
      name: 'countersign_password_hash_duration_seconds',
      help: 'How long the hash of a password takes, without the wait for it.',
    },
    () => passwords.durations.all,
  );
  metrics.gauge(
    {
      name: 'countersign_password_hashes_waiting',
      help: 'Callers that wait for a password to be hashed.',
    },
    () => [{ labels: {}, value: passwords.waiting }],
  );
}
