import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { runCommand } from '../harness/command.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { newEmail, PASSWORD, signIn } from '../harness/people.ts';
import { MASTER_KEY, temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { HASHED, HASHES } from '../passwords/hashes.ts';
import { freePort } from '../servers.ts';

const BCRYPT = HASHES['bcrypt, $2b$'];

let service: Service;
let env: Record<string, string>;
const directory = temporaryDirectory();

before(async () => {
  service = await startService();
  env = { DATABASE_URL: service.databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
});

const users = (...args: string[]) => runCommand(['users', ...args], env);

let files = 0;

function file(content: string | Buffer, extension = 'ndjson'): string {
  files += 1;
  const path = join(directory, `${files}.${extension}`);
  writeFileSync(path, content);
  return path;
}

const lines = (...records: unknown[]) =>
  records.map((each) => `${JSON.stringify(each)}\n`).join('');

function idOf(email: string) {
  return sql<{ id: string; roles: string[]; external_id: string }>(
    service.databaseUrl,
    'select id, roles, external_id from accounts where email = $1',
    [email],
  );
}

describe('countersign users import', () => {
  it('C03 imports NDJSON and CSV, whose people sign in with the password they had', async () => {
    const [one, two] = [newEmail(), newEmail()];
    const row = { email: one, email_verified: true, password_hash: BCRYPT, roles: ['support'] };
    const json = await users('import', file(`\ufeff${lines(row)}`));
    assert.match(json.text, /^1 created, 0 updated, 0 unchanged, 0 refused/);
    const csv = `email,email_verified,password_hash,roles,external_id,display_name\r\n${two},t,${BCRYPT},support;auditor,id-2,"Last, First"\r\n`;
    assert.equal((await users('import', file(csv, 'csv'))).code, 0);
    for (const email of [one, two]) assert.ok(await signIn(service, email, HASHED));
    const [account] = await idOf(two);
    assert.deepEqual(
      [account?.roles, account?.external_id],
      [['user', 'support', 'auditor'], 'id-2'],
    );
  });

  it('C08 updates passwords until their owners have signed in, and not after that', async () => {
    const email = newEmail();
    const one = file(lines({ email, password_hash: HASHES.scrypt.replace('ln=14', 'ln=13') }));
    await users('import', one);
    const two = file(lines({ email, password_hash: BCRYPT, email_verified: true }));
    assert.match((await users('import', '--update', two)).text, /^0 created, 1 updated/);
    assert.match((await users('import', '--update', two)).text, /^0 created, 0 updated/);
    assert.ok(await signIn(service, email, HASHED));
    assert.match((await users('import', '--update', one)).text, /^0 created, 0 updated, 1 unch/);
    assert.ok(await signIn(service, email, HASHED));
    const chosen = newEmail();
    await users('import', file(lines({ email: chosen })));
    await service.auth.requestPasswordReset({ email: chosen });
    const token = tokenIn(await service.mail.next(chosen, /Set a/)) ?? '';
    await service.auth.resetPassword({ token, newPassword: PASSWORD });
    const late = file(lines({ email: chosen, password_hash: BCRYPT }));
    assert.match((await users('import', '--update', late)).text, /^0 created, 0 updated, 1 unch/);
    assert.ok(await signIn(service, chosen));
  });

  it('is safe to repeat, and prints counts for scripts', async () => {
    const path = file(lines(...Array.from({ length: 1500 }, () => ({ email: newEmail() }))));
    const counts = { dry_run: false, created: 0, updated: 0, unchanged: 0, refused: 0 };
    const dry = JSON.parse((await users('import', path, '--json', '--dry-run')).text);
    assert.deepEqual(
      { ...dry, seconds: 0 },
      { ...counts, dry_run: true, created: 1500, seconds: 0 },
    );
    const first = JSON.parse((await users('import', '--json', path)).text);
    assert.deepEqual({ ...first, seconds: 0 }, { ...counts, created: 1500, seconds: 0 });
    const second = JSON.parse((await users('import', '--json', path)).text);
    assert.deepEqual({ ...second, seconds: 0 }, { ...counts, unchanged: 1500, seconds: 0 });
  });

  it('exits with 65 if rows are refused, lists them, repeats no secret, and imports the others', async () => {
    const good = newEmail();
    const secret = 'opensesame-opensesame';
    noteSecret(secret);
    const path = file(
      [
        JSON.stringify({ email: 'nobody' }),
        `{"email":"${secret}`,
        JSON.stringify({ email: newEmail(), password: secret }),
        JSON.stringify({ email: newEmail(), password_hash: secret }),
        '[]',
        JSON.stringify({ email: newEmail(), email_verified: 'yes' }),
        `{"email":"${newEmail()}","display_name":"\\ud800"}`,
        JSON.stringify({ email: newEmail(), display_name: 'x'.repeat(100_000) }),
        JSON.stringify({ email: newEmail(), created_at: 'yesterday' }),
        JSON.stringify({ email: newEmail(), state: 'deleted' }),
        '',
        JSON.stringify({ email: good, external_id: null }),
      ].join('\n'),
    );
    const { code, text } = await users('import', path);
    assert.equal(code, 65);
    assert.match(text, /^1 created, 0 updated, 0 unchanged, 10 refused/m);
    const said = [...text.matchAll(/^line (\d+): (\w*) ?/gm)].map(([, line, field]) => [
      line,
      field,
    ]);
    assert.deepEqual(
      said.map(([line]) => Number(line)),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    assert.ok(!text.includes(secret));
    assert.equal((await idOf(good)).length, 1);
    const listed = join(directory, 'refused.ndjson');
    await users('import', path, '--refused', listed);
    const refused = readFileSync(listed, 'utf8').trim().split('\n');
    assert.equal(refused.length, 10);
    const { line, reason, field } = JSON.parse(refused[0] ?? '');
    assert.deepEqual([line, reason, field], [1, 'INVALID_REQUEST', 'email']);
    assert.equal(statSync(listed).mode & 0o777, 0o600);
  });

  it('refuses a whole file in another encoding, wherever that shows', async () => {
    const text = lines({ email: newEmail(), display_name: 'Zoë' });
    for (const [content, word] of [
      [Buffer.from(`\ufeff${text}`, 'utf16le'), /UTF-16/],
      [Buffer.from(text, 'utf16le'), /UTF-16/],
      [Buffer.from(lines({ email: newEmail() }).repeat(3000) + text, 'latin1'), /Latin-1/],
      [Buffer.concat([Buffer.from(text), Buffer.from([0xc3])]), /not UTF-8/],
    ] as const) {
      const before = await sql(service.databaseUrl, 'select 1 from accounts');
      const { code, text: said } = await users('import', file(content));
      assert.equal(code, 65);
      assert.match(said, word);
      assert.equal(
        (await sql(service.databaseUrl, 'select 1 from accounts')).length,
        before.length,
      );
    }
  });

  it('refuses a CSV file whose columns it does not know', async () => {
    for (const [header, word] of [
      ['email,password', /password_hash/],
      ['email;display_name', /commas/],
      ['email,email', /twice/],
      ['mail', /not a field/],
    ] as const) {
      const { code, text } = await users('import', file(`${header}\r\na,b\r\n`, 'csv'));
      assert.equal(code, 65);
      assert.match(text, word);
    }
  });

  it('exits with 64, 66 or 69 if it is called wrongly, or has no file or no database', async () => {
    for (const args of [
      [],
      ['import'],
      ['import', 'a', 'b'],
      ['import', '--no-such', 'a.csv'],
      ['export', '--format', 'xml'],
      ['export', '--state', 'deleted'],
      ['import', 'users.txt'],
    ]) {
      assert.equal((await users(...args)).code, 64, args.join(' '));
    }
    assert.equal((await users('import', 'no-such.csv')).code, 66);
    const nowhere = `postgres://x:y@127.0.0.1:${await freePort()}/x`;
    const away = { ...env, DATABASE_URL: nowhere };
    assert.equal((await runCommand(['users', 'import', file('')], away)).code, 69);
  });

  it('works on a database on which no service has started', async () => {
    const fresh = { ...env, DATABASE_URL: await createDatabase() };
    const path = file(lines({ email: newEmail(), roles: ['admin'] }));
    const { code, text } = await runCommand(['users', 'import', path], fresh);
    assert.equal(code, 0, text);
  });
});

describe('countersign users export', () => {
  it('writes what an import accepts, in both formats', async () => {
    const email = newEmail();
    const row = {
      email,
      external_id: `x ${email}`,
      display_name: '=1+"a", b',
      password_hash: BCRYPT,
    };
    await users('import', file(lines(row)));
    const target = { ...env, DATABASE_URL: await createDatabase() };
    for (const format of ['csv', 'ndjson']) {
      const { text } = await users('export', '--format', format, '--password-hashes');
      const written = text.replace(/^\d+ exported.*\n/m, '');
      const path = file(written, format);
      const { code, text: said } = await runCommand(['users', 'import', path, '--update'], target);
      assert.equal(code, 0, said);
      if (format === 'ndjson') assert.match(said, /^0 created, 0 updated/);
    }
    const copied = await sql(
      target.DATABASE_URL,
      `select external_id, display_name, password_hash from accounts
       join password_credentials on account_id = id where email = $1`,
      [email],
    );
    const { external_id, display_name, password_hash } = row;
    assert.deepEqual(copied, [{ external_id, display_name, password_hash }]);
  });

  it('leaves password hashes out unless they are asked for, and filters', async () => {
    assert.ok(!(await users('export')).text.includes('$2b$'));
    const { text } = await users('export', '--role', 'support', '--state', 'active', '--json');
    const records = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const exported = records.filter((record) => 'email' in record);
    assert.ok(exported.length >= 2);
    assert.ok(exported.every(({ roles }) => roles.includes('support')));
    assert.deepEqual(
      records.filter((record) => 'exported' in record).map((record) => record.exported),
      [exported.length],
    );
  });
});
