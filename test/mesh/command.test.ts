import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Administrator, withRoles } from '../administrators.ts';
import { newKey, newRobot, verify } from '../api-keys/keys.ts';
import { runCommand } from '../harness/command.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { UNKNOWN_ID } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
});

const command = (...args: string[]) =>
  runCommand(['scopes', ...args], {
    DATABASE_URL: service.databaseUrl,
    COUNTERSIGN_MASTER_KEY: service.env['COUNTERSIGN_MASTER_KEY'] ?? '',
  });

/** As if it had been made long ago. */
const age = (id: string) =>
  sql(service.databaseUrl, `update api_keys set observed_since = '2020-01-01' where id = $1`, [id]);

describe('countersign scopes report', () => {
  it('says of each key what to keep, remove, check and add, or to wait', async () => {
    const serviceAccountId = await newRobot(service, 'auditor');
    const scopes = ['audit.read', 'roles.read', 'users.read'];
    const make = (displayName: string) =>
      newKey(service, boss, { serviceAccountId, scopes, displayName });
    const [old, young, unseen] = [await make('old'), await make('young'), await make('unseen')];
    await age(old.id);
    await age(unseen.id);
    for (const { secret } of [old, young]) {
      await verify(service, { secret, requiredScopes: ['users.read', 'users.write'] });
    }
    await verify(service, unseen.secret);
    await sql(
      service.databaseUrl,
      `insert into scope_uses values ($1, 'roles.read', array[current_date - 9], '{}', current_date - 9)`,
      [old.id],
    );
    const report = async (...more: string[]) => {
      const args = ['report', '--service-account', serviceAccountId, ...more];
      const { code, text } = await command(...args);
      assert.equal(code, 0, text);
      return text;
    };
    await eventually(async () => {
      const rows = 'select 1 from scope_uses where api_key_id = $1';
      const noted = await sql(service.databaseUrl, rows, [young.id]);
      const used = 'select 1 from api_keys where id = $1 and last_used_at is not null';
      return noted.length === 2 && (await sql(service.databaseUrl, used, [unseen.id])).length === 1;
    });
    const { keys, days } = JSON.parse(await report('--json', '--days', '7'));
    const advice = keys.map((key: { displayName: string; scopes: Advised[] }) => [
      key.displayName,
      ...key.scopes.map(({ scope, advice }) => `${advice} ${scope}`),
    ]);
    assert.equal(days, 7);
    assert.deepEqual(advice, [
      ['unseen', 'check audit.read', 'check roles.read', 'check users.read'],
      ['young', 'wait audit.read', 'wait roles.read', 'keep users.read', 'add users.write'],
      ['old', 'remove audit.read', 'remove roles.read', 'keep users.read', 'add users.write'],
    ]);
    const text = await report('--days', '7');
    assert.match(
      text,
      new RegExp(`^${unseen.id} {2}unseen {2}service_account ${serviceAccountId}`),
    );
    assert.match(text, / {2}remove {2}audit\.read {2}never used\n/);
    assert.match(text, / {2}remove {2}roles\.read {2}last used on \d{4}-\d\d-\d\d\n/);
    assert.match(text, / {2}keep {4}users\.read {2}used on 1 day, last on /);
    assert.match(text, / {2}add {5}users\.write {2}was missing on 1 day, last on /);
    assert.match(await report(), / {2}keep {4}roles\.read {2}used on 1 day/);
  });

  it('shows what shadow mode let through, the most frequent first, as text', async () => {
    await sql(
      service.databaseUrl,
      `insert into shadow_denials values
         (gen_random_uuid(), 'required_scopes=a', 'SCOPE_MISSING', $1, $1, 7, now(), now()),
         (gen_random_uuid(), $2, 'TOKEN_MISSING', '', '', 12, now(), now())`,
      [UNKNOWN_ID, '\u001b]0;owned\u0007'],
    );
    const { code, text } = await command('report', '--shadow');
    assert.equal(code, 0, text);
    const [first = '', second = ''] = text.split('\n');
    assert.match(first, /^12 {2}TOKEN_MISSING {2}nobody {2}.* {2}\ufffd]0;owned\ufffd$/);
    assert.match(second, new RegExp(`^7 {2}SCOPE_MISSING {2}${UNKNOWN_ID} key ${UNKNOWN_ID} `));
    const { shadowDenials } = JSON.parse((await command('report', '--shadow', '--json')).text);
    assert.deepEqual(
      shadowDenials.map(({ count }: { count: number }) => count),
      [12, 7],
    );
  });

  it('exits with 64 if it is called wrongly', async () => {
    const wrong = [
      [],
      ['list'],
      ['report', 'more'],
      ['report', '--days', '31'],
      ['report', '--days', '0'],
      ['report', '--days', 'x'],
      ['report', '--service-account', 'x'],
      ['report', '--shadow', '--service-account', UNKNOWN_ID],
    ];
    for (const args of wrong) assert.equal((await command(...args)).code, 64, args.join(' '));
  });
});

type Advised = { scope: string; advice: string };
