import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import pg from 'pg';
import { readConfig } from '../../src/config.ts';
import { operator } from '../../src/platform/caller.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createLog } from '../../src/platform/log.ts';
import { query, queryPrepared } from '../../src/platform/sql.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { Database, type Together } from '../../src/unit-of-work/database.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase } from '../harness/database.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { PATIENT } from '../harness/service.ts';

const GATE = 42;
const DOUBLE = {
  name: 'double',
  text: 'select 2 * n as doubled from unnest($1::int[]) with ordinality as q (n, place) order by place',
};

async function open(url: string, env: Record<string, string> = {}): Promise<SqlDatabase> {
  const given = { DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: MASTER_KEY, ...PATIENT, ...env };
  const config = readConfig(given, () => '');
  const connection = await openDatabase(config, createLog('silent'));
  atEnd(() => connection.close());
  return connection;
}

describe('Questions that go together', () => {
  let url: string;
  let database: Database;
  /** The questions of each statement, in order. */
  let asked: (readonly number[])[];

  before(async () => {
    url = await createDatabase();
    const none = {} as ConstructorParameters<typeof Database>[2];
    database = new Database(await open(url), systemClock, none);
  });

  beforeEach(() => {
    asked = [];
  });

  /** Answers with the double, once the gate is open. A zero is too much for it. */
  const double: Together<number, number> = async (em, _now, questions) => {
    asked.push(questions);
    await query(em, `select pg_advisory_xact_lock_shared(${GATE})`);
    if (questions.includes(0)) await query(em, 'select 1 / 0');
    const rows = await queryPrepared<{ doubled: number }>(em, DOUBLE, [questions]);
    return rows.map(({ doubled }) => doubled);
  };
  const ask = (question: number, signal = new AbortController().signal) =>
    database.together({ ...operator(), signal }, double, question);
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

  /** Keeps every statement waiting until it is opened. */
  async function closeGate() {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    atEnd(() => client.end());
    await client.query(`select pg_advisory_lock(${GATE})`);
    return { open: () => client.query('select pg_advisory_unlock_all()') };
  }

  it('are asked at once if they come alone', async () => {
    assert.equal(await ask(3), 6);
    assert.equal(await ask(4), 8);
    assert.deepEqual(asked, [[3], [4]]);
  });

  it('wait for a statement under way, and have answers of their own', async () => {
    const gate = await closeGate();
    const answers = Promise.all(numbers(100).map((n) => ask(n)));
    await gate.open();
    assert.deepEqual(
      await answers,
      numbers(100).map((n) => 2 * n),
    );
    assert.deepEqual(asked.flat(), numbers(100));
    assert.deepEqual(
      asked.map(({ length }) => length),
      [32, 32, 32, 4],
    );
  });

  it('fail together if their statement does, and nobody else', async () => {
    const questions = numbers(64);
    questions[40] = 0;
    const settled = await Promise.allSettled(questions.map((n) => ask(n)));
    assert.deepEqual(
      settled.map(({ status }) => status),
      questions.map((_, i) => (i < 32 ? 'fulfilled' : 'rejected')),
    );
    assert.equal(await ask(5), 10);
  });

  it('are not asked for a caller who has left, and asked for the others', async () => {
    const gate = await closeGate();
    const leaving = new AbortController();
    const underWay = [ask(1), ask(2, leaving.signal)];
    await turn();
    underWay.push(ask(3));
    await turn();
    const waiting = [ask(4), ask(5, leaving.signal)];
    leaving.abort('left');
    const settled = Promise.allSettled([...underWay, ...waiting]);
    await gate.open();
    assert.deepEqual(
      (await settled).map((each) => ('value' in each ? each.value : each.reason)),
      [2, 'left', 6, 8, 'left'],
    );
    assert.deepEqual(asked, [[1, 2], [3], [4]]);
  });

  it('are refused if too many wait', async () => {
    const gate = await closeGate();
    const settled = Promise.allSettled(numbers(5100).map((n) => ask(n)));
    await gate.open();
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    assert.equal(refused.length, 100);
    for (const each of refused) {
      assert.match(String('reason' in each && each.reason), /too many calls wait/);
    }
  });

  it('still run if the server has forgotten the statement', async () => {
    const one = await open(url, { COUNTERSIGN_DB_POOL_MAX: '1' });
    const doubled = () => one.read((em) => queryPrepared(em, DOUBLE, [[21]]));
    assert.deepEqual(await doubled(), [{ doubled: 42 }]);
    await one.read((em) => query(em, 'deallocate all'));
    assert.deepEqual(await doubled(), [{ doubled: 42 }]);
  });
});
