import { signedIn, signUp } from '../../harness/people.ts';
import { newWebhook, webhooksFor } from '../../webhooks/webhooks.ts';
import type { Expected, Script } from './script.ts';

const FAULTS = 5;

const attempts = (outcome: string, reason: string, by: Expected[2]): Expected => [
  'countersign_webhook_attempts_total',
  { outcome, reason },
  by,
];
const some = (value: number) => value >= 1;
const none = (value: number) => value === 0;
const is = (wanted: number) => (value: number) => value === wanted;
const short = (seconds: number) => seconds >= 0 && seconds < 3600;

export const dependencyScripts: readonly Script[] = [
  {
    does: 'W13 show which dependencies are left alone: one that does not answer, and no other',
    async run(service) {
      for (let i = 0; i < FAULTS; i += 1) {
        const password = `${i} plum lanterns over a marsh`;
        await service.auth.signUp({ email: `w13-${i}@example.com`, password, displayName: 'Pat' });
      }
      const state = (dependency: string, holds: (value: number) => boolean): Expected => [
        'countersign_circuit_breaker_state',
        { dependency },
        holds,
      ];
      return [state('breached_passwords', some), state('redis', none), state('smtp', none)];
    },
  },
  {
    does: 'show what a replica is connected to, and how lately it has looked',
    async run(service) {
      const { accessToken, refreshToken } = await signedIn(service);
      await service.auth.logout({ refreshToken });
      await service.sessions.introspectToken({ token: accessToken });
      const stale = (table: string): Expected => [
        'countersign_followed_table_staleness_seconds',
        { table },
        short,
      ];
      return [
        ['countersign_db_pool_connections', { pool: 'calls' }, some],
        ['countersign_db_pool_max', { pool: 'calls' }, is(10)],
        ['countersign_db_pool_waiting', { pool: 'looks' }, (waiting) => waiting >= 0],
        ['countersign_redis_connected', {}, is(1)],
        ...['revocations', 'roles', 'api_keys'].map(stale),
        ['countersign_revocation_lag_seconds_count', {}, 1],
        ['countersign_signing_key_age_seconds', {}, (seconds) => seconds >= 0],
        ['countersign_password_hash_duration_seconds_count', {}, 1],
        ['countersign_password_hashes_waiting', {}, (waiting) => waiting >= 0],
      ];
    },
  },
  {
    does: 'count mails, and webhooks that take events and that refuse them',
    async run(service) {
      const webhooks = await webhooksFor(service, 'admin');
      await newWebhook(webhooks, ['account.created'], service.targets.good);
      await newWebhook(webhooks, ['account.created'], service.targets.bad);
      await signUp(service);
      return [
        ['countersign_mails_total', { outcome: 'delivered' }, some],
        attempts('succeeded', '', some),
        attempts('failed', 'status', some),
        ['countersign_webhook_deliveries_pending', {}, some],
        ['countersign_webhook_oldest_seconds', {}, short],
        ['countersign_jobs_pending', { queue: 'mail' }, none],
        ['countersign_jobs_oldest_seconds', { queue: 'errands' }, short],
      ];
    },
  },
  {
    does: 'count what shadow mode lets through',
    async run({ app }) {
      await fetch(`http://${app.httpAddress}/verify`);
      return [['countersign_mesh_shadow_denials_total', {}, 1]];
    },
  },
];
