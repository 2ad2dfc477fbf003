import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { readConfig } from '../../src/config.ts';
import { lock, NUMBERS } from '../../src/platform/locks.ts';
import { createLog } from '../../src/platform/log.ts';
import type { EntityManager } from '../../src/platform/sql.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { MASTER_KEY } from '../harness/prepared.ts';

type Name = keyof typeof NUMBERS;
const NAMES = Object.keys(NUMBERS) as Name[];

/** How each version takes a lock. */
const VERSIONS = {
  'the version before': (name: Name) => `select pg_advisory_xact_lock(${NUMBERS[name]})`,
  'the version after': (name: Name) => `select name from locks where name = '${name}' for update`,
};

describe('Locks', () => {
  let url: string;
  let database: SqlDatabase;

  before(async () => {
    url = await createDatabase();
    const env = { DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    const config = readConfig(env, () => '');
    database = await openDatabase(config, createLog('silent'), { forMigration: true });
    atEnd(() => database.close());
  });

  async function transaction(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    atEnd(() => client.end());
    await client.query('begin');
    return client;
  }

  const waiting = async () =>
    (
      await sql(
        url,
        'select 1 from pg_stat_activity where datname = current_database() and wait_event_type = $1',
        ['Lock'],
      )
    ).length;

  /** Returns what became of `work`, which waits for a lock, before and after `release`. */
  async function order(work: () => Promise<unknown>, release: () => Promise<unknown>) {
    const events: string[] = [];
    const working = work().then(() => events.push('taken'));
    await eventually(async () => (await waiting()) > 0);
    events.push('released');
    await release();
    await working;
    return events;
  }

  const take = (name: Name) => database.transaction((em: EntityManager) => lock(em, name));

  for (const [version, statement] of Object.entries(VERSIONS)) {
    it(`W12 exclude replicas of ${version}, and are excluded by them`, async () => {
      for (const name of NAMES) {
        const theirs = await transaction();
        await theirs.query(statement(name));
        const released = await order(
          () => take(name),
          () => theirs.query('commit'),
        );
        assert.deepEqual(released, ['released', 'taken']);
      }
      const theirs = await transaction();
      const held = Promise.withResolvers<void>();
      const isHeld = Promise.withResolvers<void>();
      const ours = database.transaction(async (em: EntityManager) => {
        await lock(em, 'roles');
        isHeld.resolve();
        await held.promise;
      });
      await isHeld.promise;
      const released = await order(
        () => theirs.query(statement('roles')),
        async () => held.resolve(),
      );
      assert.deepEqual(released, ['released', 'taken']);
      await ours;
    });
  }

  it('W12 have a row and a number each, and are taken by name', async () => {
    const rows = await sql<{ name: string }>(url, 'select name from locks order by name');
    assert.deepEqual(
      rows.map(({ name }) => name),
      NAMES.toSorted(),
    );
    assert.equal(new Set<number>(Object.values(NUMBERS)).size, NAMES.length);
    const elsewhere = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== join('platform', 'locks.ts'))
      .filter((file) =>
        /advisory_(xact_)?lock|727_?274_?\d/.test(readFileSync(join('src', file), 'utf8')),
      );
    assert.deepEqual(elsewhere, []);
  });
});
