import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { spawnService } from '../child.ts';
import { atEnd } from '../harness/at-end.ts';
import { clients } from '../harness/clients.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { noteSecret } from '../harness/logs.ts';
import { PASSWORD } from '../harness/people.ts';
import { temporaryDirectory } from '../harness/prepared.ts';
import { redis } from '../servers.ts';

const REDIS_PASSWORDS = ['first-redis-password', 'second-redis-password'] as const;

/** As tools that mount secrets do: never half-written. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

describe('secrets from files', () => {
  it('W08 lets the database password be rotated without a restart', async () => {
    const admin = await createDatabase();
    const user = `rotating_${process.pid}`;
    const passwords = ['the-first-password', 'the-second-password'] as const;
    for (const password of passwords) noteSecret(password);
    const url = (password: string) => {
      const result = new URL(admin);
      result.username = user;
      result.password = password;
      return result.href;
    };
    await sql(admin, `create role ${user} superuser login password '${passwords[0]}'`);
    atEnd(() => sql(admin, `drop role ${user}`));
    const file = join(temporaryDirectory(), 'database-url');
    replaceFile(file, url(passwords[0]));
    const child = await spawnService({
      DATABASE_URL_FILE: file,
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
    });
    atEnd(() => child.end());
    const auth = clients(child).client(AuthService);
    const call = () => auth.resendVerification({ email: 'nobody@example.com' });
    await call();

    await sql(admin, `alter role ${user} password '${passwords[1]}'`);
    replaceFile(file, url(passwords[1]));
    await eventually(async () => {
      // No connection with the old password is left, so that a call needs the new one.
      await sql(
        admin,
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${user}'`,
      );
      await sleep(300);
      return call().then(
        () => true,
        () => false,
      );
    }, 8000);
    assert.doesNotMatch(child.output(), /the-(first|second)-password/);
  });

  it('W08 lets the password of Redis be rotated without a restart', async (t) => {
    if (process.env['TEST_REDIS_URL']) return t.skip('needs a Redis whose password it may change');
    const server = await redis();
    atEnd(() => server.stop());
    const admin = new Redis(server.url);
    atEnd(() => admin.disconnect());
    const url = (password: string) => server.url.replace('redis://', `redis://:${password}@`);
    for (const password of REDIS_PASSWORDS) noteSecret(password);
    await admin.config('SET', 'requirepass', REDIS_PASSWORDS[0]);
    await admin.auth(REDIS_PASSWORDS[0]);
    const file = join(temporaryDirectory(), 'redis-url');
    replaceFile(file, url(REDIS_PASSWORDS[0]));
    const child = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      REDIS_URL_FILE: file,
    });
    atEnd(() => child.end());
    const redisIs = async () => {
      const answer = await fetch(`http://${child.httpAddress}/readyz`);
      return ((await answer.json()) as { checks: { redis: string } }).checks.redis;
    };
    await eventually(async () => (await redisIs()) === 'ok');
    await admin.config('SET', 'requirepass', REDIS_PASSWORDS[1]);
    replaceFile(file, url(REDIS_PASSWORDS[1]));
    child.process.kill('SIGHUP');
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually(async () => (await redisIs()) === 'ok', 8000);
  });

  it('W08 lets the master key be rotated without a restart, signing nobody out', async () => {
    const keys = [1, 2].map((fill) => `${fill}:${Buffer.alloc(32, fill).toString('base64')}`);
    const file = join(temporaryDirectory(), 'master-key');
    replaceFile(file, keys[0] ?? '');
    const child = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY_FILE: file,
      COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false',
    });
    atEnd(() => child.end());
    const auth = clients(child).client(AuthService);
    await auth.signUp({ email: 'a@example.com', password: PASSWORD });
    const { outcome } = await auth.login({ email: 'a@example.com', password: PASSWORD });
    let refreshToken = outcome.case === 'tokens' ? outcome.value.refreshToken : '';
    replaceFile(file, `${keys[1]},${keys[0]}`);
    child.process.kill('SIGHUP');
    await eventually(async () => {
      const { tokens } = await auth.refreshToken({ refreshToken });
      refreshToken = tokens?.refreshToken ?? '';
      // The first byte of a token's second part is the version of the key that it was made under.
      return Buffer.from(refreshToken.split('.')[1] ?? '', 'base64url')[0] === 2;
    });
  });

  it('W08 takes over identity providers as their file changes, except one with mistakes', async () => {
    const one = {
      display_name: 'Example',
      issuer: 'https://id.example.com',
      client_id: 'x',
      redirect_uris: ['https://app.example.com/signed-in'],
    };
    const file = join(temporaryDirectory(), 'providers');
    const write = (...ids: string[]) =>
      replaceFile(file, JSON.stringify(ids.map((id) => ({ ...one, id }))));
    write('one');
    const child = await spawnService({
      DATABASE_URL: await createDatabase(),
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      COUNTERSIGN_OIDC_PROVIDERS_FILE: file,
    });
    atEnd(() => child.end());
    const auth = clients(child).client(AuthService);
    const names = async () =>
      (await auth.listProviders({})).providers.map(({ provider }) => provider).join();
    assert.equal(await names(), 'one');
    write('one', 'two');
    await eventually(async () => (await names()) === 'one,two');
    write('three', 'Not a name');
    await eventually(() =>
      /not reloaded: COUNTERSIGN_OIDC_PROVIDERS \[1\].id/.test(child.output()),
    );
    assert.equal(await names(), 'one,two');
    write('three');
    await eventually(async () => (await names()) === 'three');
  });

  it('W08 keeps the old value while a file cannot be read, and takes the next one on SIGHUP', async () => {
    const admin = await createDatabase();
    const file = join(temporaryDirectory(), 'database-url');
    replaceFile(file, admin);
    const child = await spawnService({
      DATABASE_URL_FILE: file,
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
    });
    atEnd(() => child.end());
    const auth = clients(child).client(AuthService);
    replaceFile(file, 'not a URL');
    child.process.kill('SIGHUP');
    await eventually(() => /not reloaded: DATABASE_URL/.test(child.output()));
    await auth.resendVerification({ email: 'nobody@example.com' });
    assert.equal(child.process.exitCode, null);
  });
});
