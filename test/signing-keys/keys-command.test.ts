import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { judge, publishedKeys } from '../forge.ts';
import { runCommand } from '../harness/command.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { type Service, startService } from '../harness/service.ts';
import { freePort } from '../servers.ts';

const UNKNOWN = `-${'A'.repeat(42)}`;

type Key = { keyId: string; state: string; readyAt?: string; revocationReason?: string };

describe('countersign keys', () => {
  let service: Service;
  let env: Record<string, string>;

  before(async () => {
    service = await startService();
    env = { DATABASE_URL: service.databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
  });

  const keys = (...args: string[]) => runCommand(['keys', ...args], env);

  async function list(): Promise<Key[]> {
    const { code, text } = await keys('list', '--json');
    assert.equal(code, 0, text);
    return JSON.parse(text).signingKeys;
  }

  const idIn = async (state: string) =>
    (await list()).find((key) => key.state === state)?.keyId ?? '';

  it('lists the keys, for people and for scripts', async () => {
    const listed = await list();
    assert.deepEqual(
      listed.map(({ state }) => state),
      ['next', 'active'],
    );
    assert.ok(listed[0]?.readyAt);
    const { text } = await keys('list');
    for (const { keyId } of listed) assert.match(text, new RegExp(`^${keyId}  ES256  `, 'm'));
  });

  it('S12 rotates if caches have the next key, and exits with 75 if not', async () => {
    const [active, next] = [await idIn('active'), await idIn('next')];
    const early = await keys('rotate');
    assert.equal(early.code, 75);
    assert.match(early.text, /20 minutes/);
    await sql(
      service.databaseUrl,
      `update signing_keys set created_at = created_at - interval '20 minutes'`,
    );
    const { code, text } = await keys('rotate', '--json', '--active', active);
    assert.equal(code, 0, text);
    const answer = JSON.parse(text);
    assert.deepEqual([answer.activeKey.keyId, answer.rotated], [next, true]);
    const again = await keys('rotate', `--active=${active}`);
    assert.equal(again.code, 0);
    assert.match(again.text, /nothing to do/);
    const forced = await keys('rotate', '--force');
    assert.match(forced.text, /^rotated/);
    assert.equal((await list()).length, 4);
    const [event] = await sql<{ actor: null; ip_address: null }>(
      service.databaseUrl,
      `select actor, ip_address from audit_events where type = 'signing_key.rotated'`,
    );
    assert.deepEqual(event, { actor: null, ip_address: null });
  });

  it('S09 S12 revokes, and the running service hears of it', async () => {
    await eventually(async () => (await publishedKeys(service)).length === 4, 10_000);
    const { accessToken } = await signedIn(service);
    assert.equal(await judge(service, accessToken), 'accepted');
    const keyId = await idIn('active');
    const { code, text } = await keys('revoke', keyId, '--reason', 'lost a laptop');
    assert.equal(code, 0, text);
    await eventually(async () => {
      const { active } = await service.sessions.introspectToken({ token: accessToken });
      return !active;
    });
    assert.equal(await judge(service, accessToken), 'TOKEN_REVOKED');
    assert.ok((await publishedKeys(service)).every(({ kid }) => kid !== keyId));
    assert.equal(await judge(service, (await signedIn(service)).accessToken), 'accepted');
    const revoked = (await list()).find((key) => key.keyId === keyId);
    assert.deepEqual([revoked?.state, revoked?.revocationReason], ['revoked', 'lost a laptop']);
  });

  it('exits with a code that says what went wrong', async () => {
    for (const args of [
      [],
      ['shred'],
      ['list', 'more'],
      ['rotate', 'now'],
      ['rotate', '--hard'],
      ['revoke', '--reason', 'no key'],
      ['revoke', UNKNOWN],
    ]) {
      const { code, text } = await keys(...args);
      assert.equal(code, 64, args.join(' '));
      assert.match(text, /Usage/);
    }
    assert.equal((await keys('revoke', UNKNOWN, '--reason', 'x')).code, 66);
    assert.equal((await keys('rotate', '--active', UNKNOWN)).code, 66);
    const away = { ...env, DATABASE_URL: `postgres://127.0.0.1:${await freePort()}/none` };
    assert.equal((await runCommand(['keys', 'list'], away)).code, 69);
  });

  it('S12 changes nothing if its master key is not that of the service', async () => {
    const before_ = await list();
    const other = { ...env, COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 8).toString('base64') };
    const { code, text } = await runCommand(['keys', 'rotate', '--force'], other);
    assert.equal(code, 1);
    assert.match(text, /master key/);
    assert.deepEqual(await list(), before_);
  });

  it('asks for the migrations first', async () => {
    const databaseUrl = await createDatabase();
    await sql(databaseUrl, `delete from schema_migrations where name = 'Migration20261122000002'`);
    const { code, text } = await runCommand(['keys', 'list'], {
      ...env,
      DATABASE_URL: databaseUrl,
    });
    assert.equal(code, 1);
    assert.match(text, /countersign migrate/);
  });
});
