import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ApiKeyReason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { runCommand } from '../harness/command.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { noteSecret } from '../harness/logs.ts';
import { type Person, person } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';
import { verify } from './keys.ts';

let service: Service;
let owner: Person;

before(async () => {
  service = await startService();
  owner = await person(service, 'auditor');
});

const command = (...args: string[]) =>
  runCommand(['apikeys', ...args], {
    DATABASE_URL: service.databaseUrl,
    COUNTERSIGN_MASTER_KEY: service.env['COUNTERSIGN_MASTER_KEY'] ?? '',
  });

describe('countersign apikeys', () => {
  it('makes, lists and ends the keys of a user', async () => {
    const made = await command(
      ...['create', '--email', owner.email, '--name', 'backup', '--scope', 'users.read'],
      ...['--cidr', '10.0.0.0/8', '--expires', '90d', '--json'],
    );
    assert.equal(made.code, 0, made.text);
    const { apiKey, secret } = JSON.parse(made.text);
    noteSecret(secret);
    const answer = await verify(service, { secret, ipAddress: '10.1.2.3' });
    assert.deepEqual(
      [answer.valid, answer.principal?.subject, answer.principal?.scopes],
      [true, owner.userId, ['users.read']],
    );
    const listed = await command('list', '--email', owner.email);
    assert.match(
      listed.text,
      new RegExp(`^${apiKey.apiKeyId} {2}backup {2}\\[users.read\\] {2}until 2`),
    );
    assert.ok(!listed.text.includes(secret.slice(26)));
    assert.equal((await command('revoke', apiKey.apiKeyId)).code, 0);
    await eventually(async () => (await verify(service, secret)).reason === ApiKeyReason.REVOKED);
    const events = await sql(
      service.databaseUrl,
      `select type, actor from audit_events where details->>'api_key_id' = $1 order by id`,
      [apiKey.apiKeyId],
    );
    assert.deepEqual(events, [
      { type: 'api_key.created', actor: null },
      { type: 'api_key.revoked', actor: null },
    ]);
  });

  it('E05 shows names as text, whatever a terminal would do with them', async () => {
    const name = '\u001b]0;owned\u0007\u009b2J\u202e\npat';
    const made = await command('create', '--email', owner.email, '--name', name, '--json');
    const { apiKey, secret } = JSON.parse(made.text);
    noteSecret(secret);
    assert.equal(apiKey.displayName, name);
    const listed = await command('list', '--email', owner.email);
    assert.match(listed.text, /�]0;owned��2J�/);
    for (const { text } of [
      made,
      listed,
      await command('list', '--email', owner.email, '--json'),
    ]) {
      assert.doesNotMatch(text, /[^\P{Cc}\n]|\u202e/u);
    }
    await command('revoke', apiKey.apiKeyId);
  });

  it('gives no key what its owner does not hold, and says why', async () => {
    const { code, text } = await command(
      ...['create', '--email', owner.email, '--name', 'x', '--scope', 'users.write'],
    );
    assert.equal(code, 1);
    assert.match(text, /users\.write/);
  });

  it('exits with 66 if there is no such key, and with 64 if it is called wrongly', async () => {
    const unknown = '01890000-0000-7000-8000-000000000000';
    assert.equal((await command('revoke', unknown)).code, 66);
    assert.equal((await command('list', '--email', 'nobody@example.com')).code, 66);
    const wrong = [
      [],
      ['create', '--email', owner.email],
      ['create', '--name', 'x'],
      ['list'],
      ['list', '--email', owner.email, '--service-account', unknown],
      ['revoke'],
      ['revoke', 'x'],
      ['create', '--email', owner.email, '--name', 'x', '--expires', 'soon'],
    ];
    for (const args of wrong) assert.equal((await command(...args)).code, 64, args.join(' '));
  });
});
