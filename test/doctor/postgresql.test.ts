import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { checkClock } from '../../src/doctor/clock.ts';
import { Database } from '../../src/doctor/database.ts';
import { replicationOf } from '../../src/doctor/replication.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { MASTER_KEY, REDIS_URL, temporaryDirectory } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';
import { assertFound, doctor, peer, silent } from './doctor.ts';

const PGBOUNCER = '/usr/sbin/pgbouncer';

describe('countersign doctor: PostgreSQL', () => {
  let service: Service;
  let url: string;

  before(async () => {
    service = await startService();
    url = service.databaseUrl;
  });

  const change = (text: string) => sql(url, text);
  const named = (part: Partial<Record<'username' | 'password' | 'pathname' | 'host', string>>) =>
    Object.assign(new URL(url), part).href;

  it('says what it found, how long that took, and changes nothing', async () => {
    const rows = () =>
      sql(url, 'select (select count(*) from audit_events) as events, txid_current_if_assigned()');
    const earlier = await rows();
    const examined = await doctor({ DATABASE_URL: url, REDIS_URL });
    assertFound(
      examined,
      'postgresql.ok',
      'pooler.none',
      'statement_timeout.ok',
      'replication.none',
      'connections.ok',
      'clock.ok',
      'migrations.ok',
      'signing_keys.ok',
      'webhooks.none',
      'master_key.ok',
      'redis.ok',
    );
    const [server] = examined.findings;
    assert.match(server?.says ?? '', /^PostgreSQL \d+/);
    assert.ok((server?.ms ?? 0) > 0);
    assert.deepEqual(await rows(), earlier);
  });

  it('can not write, whatever it would ask', async () => {
    const database = new Database(url);
    atEnd(() => database.close());
    await assert.rejects(database.ask('create table doctor ()'), { code: '25006' });
  });

  it('tells a wrong password from a wrong name, and prints neither', async () => {
    const wrong = await doctor({ DATABASE_URL: named({ password: 'sesame-of-a-stranger' }) });
    assertFound(wrong, 'postgresql.password', 'migrations.skipped', 'master_key.skipped');
    assert.equal(wrong.code, 69);
    assert.doesNotMatch(wrong.text, /sesame/);
    assert.ok(!wrong.text.includes(MASTER_KEY));
    assertFound(
      await doctor({ DATABASE_URL: named({ pathname: '/nowhere' }) }),
      'postgresql.database',
    );
  });

  it('says why there is no connection', async () => {
    const away = { DATABASE_URL: named({ host: `127.0.0.1:${await freePort()}` }) };
    assertFound(await doctor(away), 'postgresql.refused');
    const role = `narrow_${process.pid}`;
    await change(`create role ${role} login password 'p' connection limit 0`);
    atEnd(() => change(`drop role ${role}`));
    const narrow = { DATABASE_URL: named({ username: role, password: 'p' }) };
    assertFound(await doctor(narrow), 'postgresql.full');
  });

  for (const [state, code] of Object.entries({
    '08P01': 'postgresql.protocol',
    '28000': 'postgresql.role',
    '57P03': 'postgresql.starting',
    '42501': 'postgresql.not_allowed',
    XX000: 'postgresql.other',
  })) {
    it(`says what ${state} means`, async () => {
      const fields = Buffer.from(`SFATAL\0C${state}\0Mno\0\0`);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(fields.length + 4);
      const refusal = Buffer.concat([Buffer.from('E'), length, fields]);
      const host = await peer((socket) => socket.once('data', () => socket.end(refusal)));
      assertFound(await doctor({ DATABASE_URL: named({ host }) }), code);
    });
  }

  it('waits for nothing that hangs, and still says the rest', async () => {
    const examined = await doctor({
      DATABASE_URL: named({ host: await silent() }),
      REDIS_URL: `redis://${await silent()}`,
      SMTP_URL: `smtp://${await silent()}`,
      COUNTERSIGN_PWNED_PASSWORDS_URL: `http://${await silent()}/range`,
    });
    assertFound(examined, 'postgresql.silent', 'redis.silent', 'smtp.silent', 'certificate.none');
    assert.ok(examined.codes.some((each) => /^breached_passwords\.(away|timeout)$/.test(each)));
  });

  it('sees a database that takes no writes', async () => {
    const name = new URL(url).pathname.slice(1);
    await change(`alter database ${name} set default_transaction_read_only = on`);
    const examined = await doctor({ DATABASE_URL: url });
    await change(`set default_transaction_read_only = off; alter database ${name} reset all`);
    assertFound(examined, 'postgresql.read_only');
  });

  it('sees a role whose statement_timeout ends migrations', async () => {
    const name = new URL(url).pathname.slice(1);
    await change(`alter database ${name} set statement_timeout = '45s'`);
    const examined = await doctor({ DATABASE_URL: url });
    await change(`alter database ${name} reset all`);
    assertFound(examined, 'statement_timeout.ok', 'statement_timeout.migrations');
  });

  it('compares what replicas may take with what there is', async () => {
    const short = await doctor({ DATABASE_URL: url, COUNTERSIGN_DB_POOL_MAX: '900' });
    assertFound(short, 'connections.short');
    assert.match(short.text, /at up to 905 connections each, but room for 0/);
  });

  it('sees how far the clocks are apart', async () => {
    const database = new Database(url);
    atEnd(() => database.close());
    const [behind] = await checkClock(database, () => Date.now() + 60_000);
    assert.deepEqual([behind?.code, behind?.state], ['clock.off', 'warning']);
    assert.match(behind?.says ?? '', /(59|60)\.\d s behind/);
    const [ahead] = await checkClock(database, () => Date.now() - 60_000);
    assert.match(ahead?.says ?? '', /\d\.\d s ahead of/);
  });

  it('says what a fail-over does to what was acknowledged', () => {
    const on = { names: 'any 1 (*)', commit: 'on' };
    const none = { names: '', commit: 'on' };
    const standbys = (all: number, synchronous: number, unseen = 0) => ({
      all,
      synchronous,
      unseen,
    });
    for (const [settings, following, ...codes] of [
      [none, standbys(0, 0), 'none'],
      [none, standbys(2, 0), 'asynchronous'],
      [on, standbys(2, 1), 'synchronous'],
      [on, standbys(0, 0), 'waiting'],
      [on, standbys(1, 0), 'waiting'],
      [on, standbys(1, 0, 1), 'unseen'],
      [{ ...on, commit: 'local' }, standbys(1, 1), 'synchronous', 'not_awaited'],
      [{ ...none, commit: 'off' }, standbys(0, 0), 'none', 'commit_off'],
    ] as const) {
      const found = replicationOf(settings, following).map(({ code }) => code);
      assert.deepEqual(
        found,
        codes.map((code) => `replication.${code}`),
      );
    }
  });

  it('tells pending migrations from those of a newer version', async () => {
    const other = await createDatabase();
    await sql(
      other,
      `update schema_migrations set name = 'Migration20991231000000' where id =
      (select max(id) from schema_migrations)`,
    );
    const examined = await doctor({ DATABASE_URL: other });
    assertFound(examined, 'migrations.pending', 'migrations.newer', 'signing_keys.none');
    assert.equal(examined.code, 69);
    await sql(other, 'drop table schema_migrations; drop schema jobs cascade');
    assertFound(await doctor({ DATABASE_URL: other }), 'migrations.none');
  });

  it('sees a master key that lacks a version, or is another', async () => {
    const another = Buffer.alloc(32, 8).toString('base64');
    const lacking = await doctor({ DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: `7:${another}` });
    assertFound(lacking, 'master_key.missing');
    assert.match(lacking.text, /version 1 of the master key .* signing keys/);
    assert.ok(!lacking.text.includes(another));
    const wrong = await doctor({ DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: another });
    assertFound(wrong, 'master_key.wrong');
    assert.equal(wrong.code, 69);
  });

  it('sees signing keys that are old, of another algorithm, or without a next one', async () => {
    await change(`update signing_keys set activated_at = activated_at - interval '200 days'
      where state = 'active'; delete from signing_keys where state = 'next'`);
    const examined = await doctor({ DATABASE_URL: url, COUNTERSIGN_SIGNING_ALG: 'EdDSA' });
    assertFound(examined, 'signing_keys.old', 'signing_keys.no_next', 'signing_keys.algorithm');
  });

  it('sees webhooks that lead nowhere, and shows no path', async () => {
    const [row] = await sql<{ id: string }>(
      url,
      `insert into webhooks (id, display_name, url, event_types, state, secret, created_at, updated_at)
       values (gen_random_uuid(), 'x', 'https://10.0.0.1/hooks/sesame', '{*}', 'enabled', '\\x0001',
         now(), now()) returning id`,
    );
    const examined = await doctor({ DATABASE_URL: url });
    assertFound(examined, 'webhooks.host');
    assert.match(
      examined.text,
      new RegExp(`webhook ${row?.id}: 10\\.0\\.0\\.1 leads to an address`),
    );
    assert.doesNotMatch(examined.text, /sesame/);
    const env = { DATABASE_URL: url, COUNTERSIGN_WEBHOOK_ALLOWED_NETWORKS: '10.0.0.0/8' };
    assertFound(await doctor(env), 'webhooks.ok');
  });

  it('sees a pooler', { skip: existsSync(PGBOUNCER) ? false : 'needs PgBouncer' }, async () => {
    assertFound(
      await doctor({ DATABASE_URL: await throughPgbouncer(url) }),
      'postgresql.ok',
      'pooler.found',
      'connections.pooled',
    );
  });
});

/** Starts PgBouncer in transaction mode before a database. Returns the database's URL through it. */
async function throughPgbouncer(databaseUrl: string): Promise<string> {
  const { username, password, port: serverPort } = new URL(databaseUrl);
  const directory = temporaryDirectory();
  const port = await freePort();
  const users = join(directory, 'users.txt');
  writeFileSync(users, `"${username}" "${password}"\n`);
  const settings = join(directory, 'pgbouncer.ini');
  writeFileSync(
    settings,
    `[databases]\n* = host=127.0.0.1 port=${serverPort}\n[pgbouncer]\nlisten_addr=127.0.0.1\n` +
      `listen_port=${port}\nauth_type=plain\nauth_file=${users}\npool_mode=transaction\n` +
      `unix_socket_dir=\nlogfile=${join(directory, 'log')}\n`,
  );
  for (const [path, mode] of [
    [directory, 0o777],
    [users, 0o644],
    [settings, 0o644],
  ] as const) {
    chmodSync(path, mode);
  }
  // It refuses to run as root.
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  if (asUser.length > 0) spawnSync('chmod', ['o+x', join(directory, '..')]);
  const child = spawn(PGBOUNCER, [...asUser, settings], { stdio: 'ignore' });
  atEnd(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const through = new URL(databaseUrl);
  through.port = String(port);
  await eventually(() =>
    sql(through.href, 'select 1').then(
      () => true,
      () => false,
    ),
  );
  return through.href;
}
