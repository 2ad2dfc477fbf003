import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { scopeUsesIn } from '../../src/mesh/scope-use.repository.ts';
import { shadowDenialsIn } from '../../src/mesh/shadow-denial.repository.ts';
import { createLog } from '../../src/platform/log.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

/** More than go in one batch. */
const MANY = 2500;

let service: Service;
let database: SqlDatabase;

before(async () => {
  service = await startService();
  const config = readConfig(service.env, () => '');
  database = await openDatabase(config, createLog('silent'));
  atEnd(() => database.close());
});

const fill = (keyId: string, prefix: string, daysAgo: number, rows = MANY) =>
  sql(
    service.databaseUrl,
    `insert into scope_uses select $1, $2::text || n, '{}', '{}',
       (now() at time zone 'utc')::date - $3::int from generate_series(1, $4::int) n`,
    [keyId, prefix, daysAgo, rows],
  );

const left = async (): Promise<string[]> => {
  const query = 'select scope from scope_uses order by scope';
  const rows = await sql<{ scope: string }>(service.databaseUrl, query);
  return rows.map(({ scope }) => scope);
};

/** Returns how many batches it took: another replica may have taken some. */
async function forgetAll(forget: () => Promise<boolean>): Promise<void> {
  while (await forget());
}

describe('The use of scopes', () => {
  it('is forgotten after 30 days, or once its key is revoked, and nothing else', async () => {
    const who = await person(service);
    const [key, revoked] = [await newKey(service, who), await newKey(service, who)];
    await fill(key.id, 'old', 30);
    await fill(key.id, 'recent', 29, 1);
    await fill(revoked.id, 'revoked', 0);
    await sql(service.databaseUrl, 'update api_keys set revoked_at = now() where id = $1', [
      revoked.id,
    ]);
    const now = service.clock.now();
    await forgetAll(() => database.read((em) => scopeUsesIn(em).forgetOld(now)));
    assert.ok(!(await left()).some((scope) => scope.startsWith('old')));
    await forgetAll(() => database.read((em) => scopeUsesIn(em).forgetRevoked()));
    assert.deepEqual(await left(), ['recent1']);
  });

  it('goes with its key', async () => {
    const { id } = await newKey(service, await person(service));
    await fill(id, 'gone', 0, 3);
    await sql(service.databaseUrl, 'delete from api_keys where id = $1', [id]);
    assert.ok(!(await left()).some((scope) => scope.startsWith('gone')));
  });
});

describe('What shadow mode let through', () => {
  it('is forgotten 30 days after its last request', async () => {
    await sql(
      service.databaseUrl,
      `insert into shadow_denials
       select gen_random_uuid(), n::text, 'X', '', '', 1, now() - interval '40 days',
         now() - n * interval '1 day' from generate_series(28, 32) n`,
    );
    await database.read((em) => shadowDenialsIn(em).forgetOver(service.clock.now()));
    const rows = await sql(service.databaseUrl, 'select rule from shadow_denials order by rule');
    assert.deepEqual(rows, [{ rule: '28' }, { rule: '29' }]);
  });
});
