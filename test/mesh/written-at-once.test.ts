import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { type ScopeNote, scopeUsesIn } from '../../src/mesh/scope-use.repository.ts';
import { ScopeUse } from '../../src/mesh/scope-use.ts';
import { ShadowDenials } from '../../src/mesh/shadow-denials.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { newKey, newRobot } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { person } from '../harness/people.ts';
import { startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { principal } from './principal.ts';

const REPLICAS = 8;
const KEYS = 100;
const SCOPES = ['api_keys.read', 'audit.read', 'roles.read', 'sessions.read', 'users.read'];

describe('Replicas that note the use of the same scopes at once', () => {
  it('lose nothing of each other, in whatever order they come', async () => {
    const service = await startService();
    const { databaseUrl } = service;
    const config = readConfig(service.env, () => '');
    const database = await openDatabase(config, createLog('silent'));
    atEnd(() => database.close());
    const keys = await sql<{ id: string }>(
      databaseUrl,
      `insert into api_keys (id, service_account_id, display_name, scopes, secret_hash, key_version,
         allowed_cidrs, created_at)
       select gen_random_uuid(), $1, '', '{}', '', 1, '{}', now() from generate_series(1, $2) returning id`,
      [await newRobot(service), KEYS],
    );
    const seenBy = (replica: number): ScopeNote[] => {
      const day = `2026-11-${10 + replica}`;
      const notes = keys.flatMap(({ id }) =>
        SCOPES.map((scope) => ({ apiKeyId: id, scope, isMissing: replica % 2 === 1, day })),
      );
      return notes.sort(() => Math.random() - 0.5);
    };
    const writes = Array.from({ length: REPLICAS }, (_, replica) =>
      database.read((em) => scopeUsesIn(em).add(seenBy(replica))),
    );
    await Promise.all(writes);
    const rows = await sql(
      databaseUrl,
      `select used_on::text[] as used, missing_on::text[] as missing, count(*)::int as rows
       from scope_uses group by 1, 2`,
    );
    assert.deepEqual(rows, [
      {
        used: ['2026-11-10', '2026-11-12', '2026-11-14', '2026-11-16'],
        missing: ['2026-11-11', '2026-11-13', '2026-11-15', '2026-11-17'],
        rows: KEYS * SCOPES.length,
      },
    ]);
  });
});

describe('What a replica notes while the database is away', () => {
  it('waits until it is back, and counts once', async () => {
    const service = await startService();
    const who = await person(service);
    const { id } = await newKey(service, who);
    const proxy = new TcpProxy(service.databaseUrl);
    atEnd(() => proxy.close());
    const env = { ...service.env, DATABASE_URL: await proxy.listen(service.databaseUrl) };
    const log = createLog('silent');
    const config = readConfig(env, () => '');
    const database = await openDatabase(config, log);
    atEnd(() => database.close());
    const parts = { database, clock: service.clock, log };
    const [scopeUse, shadowDenials] = [new ScopeUse(parts), new ShadowDenials(parts)];
    proxy.down();
    const by = principal(who.userId, id);
    scopeUse.note(by, ['orders.read'], ['orders.read']);
    shadowDenials.note({ rule: 'x', reason: 'SCOPE_MISSING', principal: by });
    await Promise.all([scopeUse.flush(), shadowDenials.flush()]);
    shadowDenials.note({ rule: 'x', reason: 'SCOPE_MISSING', principal: by });
    proxy.open();
    for (let i = 0; i < 2; i += 1) await Promise.all([scopeUse.flush(), shadowDenials.flush()]);
    const rows = await sql(
      service.databaseUrl,
      `select s.scope, cardinality(s.missing_on) as days, d.count::int
       from scope_uses s join shadow_denials d on d.api_key_id = s.api_key_id::text`,
    );
    assert.deepEqual(rows, [{ scope: 'orders.read', days: 1, count: 2 }]);
  });
});
