import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { testKeyring } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { logLines, noteSecret } from '../harness/logs.ts';
import { signedIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

describe('The signing keys, under the master key', () => {
  let service: Service;
  const other = randomBytes(32).toString('base64');

  before(async () => {
    noteSecret(other);
    service = await startService();
  });

  const stored = () =>
    sql<{ id: string; state: string; private_sealed: Buffer }>(
      service.databaseUrl,
      'select id, state, private_sealed from signing_keys order by id',
    );

  /** Starts a replica that can't become ready, waits until it has said why, and stops it. */
  async function failToStart(env: Record<string, string>): Promise<unknown[]> {
    const lines: Record<string, unknown>[] = [];
    await logLines(async () => {
      const replica = await startReplica(service, { env, waitUntilReady: false });
      const told = () => lines.some(({ component }) => component === 'start');
      await eventually(told, 10_000);
      const { status, checks } = await replica.app.readiness();
      assert.equal(status, 'not ready');
      assert.equal(checks['signing_key'], 'none');
      const answer = await fetch(`http://${replica.app.httpAddress}/readyz`);
      assert.equal(answer.status, 503);
      await replica.app.stop();
    }, lines);
    return lines.filter(({ component }) => component === 'start').flatMap((line) => line['causes']);
  }

  it('S12 do not open with another one: the replica says so and does not become ready', async () => {
    const before_ = await stored();
    const causes = await failToStart({ COUNTERSIGN_MASTER_KEY: other });
    assert.ok(causes.includes('WrongMasterKey'), `${causes}`);
    assert.deepEqual(await stored(), before_);
  });

  it('S12 do not open without the version that sealed them', async () => {
    const causes = await failToStart({ COUNTERSIGN_MASTER_KEY: `2:${other}` });
    assert.ok(causes.includes('UnknownKeyVersion'), `${causes}`);
  });

  it('S12 are not touched by a replica with another one, whatever else it is set to', async () => {
    const before_ = await stored();
    const env = { COUNTERSIGN_MASTER_KEY: other, COUNTERSIGN_SIGNING_ALG: 'EdDSA' };
    await failToStart(env);
    assert.deepEqual(await stored(), before_);
    const { accessToken: token } = await signedIn(service);
    assert.equal((await service.sessions.introspectToken({ token })).active, true);
  });

  it('S11 are sealed again under the next version, and stay the same keys', async () => {
    const keyring = testKeyring(`2:${other},1:${MASTER_KEY}`);
    const before_ = await stored();
    const { accessToken: token } = await signedIn(service);
    const both = { COUNTERSIGN_MASTER_KEY: `2:${other},1:${MASTER_KEY}` };
    const rotated = await startReplica(service, { env: both });
    const after_ = await stored();
    assert.deepEqual(
      after_.map(({ id, state }) => [id, state]),
      before_.map(({ id, state }) => [id, state]),
    );
    for (const { private_sealed: sealed } of after_) assert.equal(keyring.versionOf(sealed), 2);
    assert.equal((await rotated.sessions.introspectToken({ token })).active, true);
    // A replica with the previous version keeps signing, and does not seal them back.
    const unaware = await startReplica(service, {
      env: { COUNTERSIGN_MASTER_KEY: `1:${MASTER_KEY},2:${other}` },
    });
    const { accessToken } = await signedIn(unaware);
    assert.equal((await rotated.sessions.introspectToken({ token: accessToken })).active, true);
    assert.deepEqual(await stored(), after_);
    const { accessToken: own } = await signedIn(service);
    assert.equal((await rotated.sessions.introspectToken({ token: own })).active, true);
  });
});
