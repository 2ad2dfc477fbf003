import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { ShadowDenials } from '../../src/mesh/shadow-denials.ts';
import { createLog } from '../../src/platform/log.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { accountOf, person, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { principal } from './principal.ts';

const KEPT = 1000;

let service: Service;
let boss: Administrator;
let database: SqlDatabase;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
  const config = readConfig(service.env, () => '');
  database = await openDatabase(config, createLog('silent'));
  atEnd(() => database.close());
});

/** What one replica counts. */
const replica = () =>
  new ShadowDenials({ database, clock: service.clock, log: createLog('silent') });

async function listed() {
  const found = [];
  for (let pageToken = '', more = true; more; more = pageToken !== '') {
    const page = await boss.admin.listShadowDenials({ pageSize: 200, pageToken });
    found.push(...page.shadowDenials);
    pageToken = page.nextPageToken;
  }
  return found;
}

const rowsOf = async (reason: string) => (await listed()).filter((row) => row.reason === reason);

describe('ListShadowDenials', () => {
  it('adds up what replicas let through, by rule, reason and principal', async () => {
    const [one, other] = [replica(), replica()];
    const rule = 'required_scopes=orders.read';
    const missing = {
      rule,
      reason: 'SCOPE_MISSING',
      principal: principal(UNKNOWN_ID, boss.userId),
    };
    for (const at of [one, other, other]) at.note(missing);
    one.note({ rule, reason: 'TOKEN_MISSING', principal: undefined });
    await Promise.all([one.flush(), other.flush()]);
    other.note(missing);
    await other.flush();
    const [row, ...more] = await rowsOf('SCOPE_MISSING');
    assert.deepEqual(more, []);
    assert.deepEqual(
      [row?.rule, row?.subject, row?.apiKeyId, row?.count],
      [rule, UNKNOWN_ID, boss.userId, 4n],
    );
    assert.ok(row?.firstAt && row.lastAt && row.firstAt.seconds <= row.lastAt.seconds);
    const [unknown] = await rowsOf('TOKEN_MISSING');
    assert.deepEqual([unknown?.subject, unknown?.apiKeyId, unknown?.count], ['', '', 1n]);
    assert.deepEqual([...other.byReason], [['SCOPE_MISSING', 3]]);
  });

  it('W01 keeps the rows whose requests came last, however many rules callers make up', async () => {
    const one = replica();
    one.note({ rule: 'the oldest', reason: 'FLOOD', principal: undefined });
    await one.flush();
    service.clock.advance(1000);
    for (let batch = 0; batch < 2; batch += 1) {
      for (let i = 0; i < KEPT; i += 1) {
        one.note({ rule: `${batch} ${i}`, reason: 'FLOOD', principal: undefined });
      }
      // Beyond what waits at a time: only counted.
      one.note({ rule: 'too many', reason: 'FLOOD', principal: undefined });
      service.clock.advance(1000);
      await one.flush();
    }
    const rows = await sql<{ rule: string }>(
      service.databaseUrl,
      'select rule from shadow_denials',
    );
    assert.equal(rows.length, KEPT);
    assert.ok(rows.every(({ rule }) => rule.startsWith('1 ')));
    assert.equal(one.byReason.get('FLOOD'), 2 * KEPT + 3);
  });

  it('W01 cuts rules to 256 characters that can be stored, and puts rare reasons together', async () => {
    const one = replica();
    const rules = ['x'.repeat(100_000), 'zero\0', '\ud800 alone', `${'y'.repeat(255)}😀`];
    for (const rule of rules) one.note({ rule, reason: 'ODD', principal: undefined });
    for (let i = 0; i < 200; i += 1) {
      one.note({ rule: 'many', reason: `${i}`.repeat(100), principal: undefined });
    }
    await one.flush();
    const stored = (await rowsOf('ODD')).map(({ rule }) => rule);
    const cut = ['x'.repeat(256), 'zero\ufffd', '\ufffd alone', `${'y'.repeat(255)}\ufffd`];
    assert.deepEqual(stored.sort(), cut.sort());
    assert.equal(one.byReason.size, 65);
    assert.equal((await rowsOf('OTHER'))[0]?.count, 137n);
  });

  it('C13 shows people theirs, and keeps nothing of an account that was deleted', async () => {
    const who = await person(service);
    const one = replica();
    const denial = { rule: 'a rule', reason: 'ERASED', principal: principal(who.userId) };
    one.note(denial);
    await one.flush();
    const account = accountOf(service, who);
    const [exported] = JSON.parse((await account.exportMe({})).json).shadow_denials;
    assert.deepEqual([exported.rule, exported.reason, exported.count], ['a rule', 'ERASED', 1]);
    one.note(denial);
    await account.deleteMe({});
    await one.flush();
    assert.deepEqual(await rowsOf('ERASED'), []);
  });

  it('needs the permission, and a page token of its own', async () => {
    const support = await withRoles(service, 'support');
    assert.equal((await refusal(support.admin.listShadowDenials({}))).reason, 'PERMISSION_DENIED');
    const foreign = { pageToken: '1.x.x' };
    const { fields } = await refusal(boss.admin.listShadowDenials(foreign));
    assert.deepEqual(fields, ['page_token']);
  });
});
