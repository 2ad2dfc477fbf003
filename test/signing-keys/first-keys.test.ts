import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { calculateJwkThumbprint, decodeProtectedHeader } from 'jose';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { KeySet } from '../../src/signing-keys/key-set.ts';
import { tablesWith } from '../database-search.ts';
import { Forger, publishedKeys, testKeyring } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { logLines } from '../harness/logs.ts';
import { MailServer } from '../harness/mail-server.ts';
import { signedIn } from '../harness/people.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';

const REPLICAS = 6;

describe('The signing keys of replicas that start together', () => {
  let replicas: Service[];
  const starting: Record<string, unknown>[] = [];

  before(async () => {
    const mail = new MailServer();
    atEnd(() => mail.close());
    const options = {
      databaseUrl: await createDatabase(),
      mail,
      clock: new TestClock(),
      env: PATIENT,
    };
    await logLines(async () => {
      replicas = await Promise.all(Array.from({ length: REPLICAS }, () => startService(options)));
    }, starting);
  });

  const first = (): Service => replicas[0] as Service;

  it('S12 are one that signs and one that comes next, the same for all', async () => {
    const rows = await sql<{ id: string; state: string; algorithm: string }>(
      first().databaseUrl,
      'select id, state, algorithm from signing_keys order by state',
    );
    assert.deepEqual(
      rows.map(({ state, algorithm }) => [state, algorithm]),
      [
        ['active', 'ES256'],
        ['next', 'ES256'],
      ],
    );
    for (const replica of replicas) {
      const kids = (await publishedKeys(replica)).map(({ kid }) => kid);
      assert.deepEqual(new Set(kids), new Set(rows.map(({ id }) => id)));
      const { accessToken } = await signedIn(replica);
      assert.equal(decodeProtectedHeader(accessToken).kid, rows[0]?.id);
    }
  });

  it('S12 are made at the first attempt of each: they wait for one another', () => {
    assert.deepEqual(
      starting.filter(({ component }) => component === 'start'),
      [],
    );
  });

  it('S12 let every replica accept what any of them signed', async () => {
    for (const replica of replicas) {
      const { accessToken: token } = await signedIn(replica);
      for (const other of replicas) {
        assert.equal((await other.sessions.introspectToken({ token })).active, true);
      }
    }
  });

  it('are published by RFC 7517, their public halves only', async () => {
    const keys = await publishedKeys(first());
    assert.equal(keys.length, 2);
    for (const key of keys) {
      assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      assert.deepEqual([key.alg, key.use], ['ES256', 'sig']);
      assert.equal(await calculateJwkThumbprint(key), key.kid);
    }
  });

  it('S12 are kept sealed: no private half is in the database', async () => {
    const { d = '' } = (await Forger.of(first())).key.export({ format: 'jwk' });
    assert.equal(Buffer.from(d, 'base64url').length, 32);
    assert.deepEqual(await tablesWith(first().databaseUrl, d), []);
  });

  it('S12 are found by everyone who asks at once, although one reading serves them all', async () => {
    const config = readConfig(first().env, () => '');
    const database = await openDatabase(config, createLog('silent'));
    atEnd(() => database.close());
    const keys = new KeySet(database, testKeyring());
    const ids = (await publishedKeys(first())).map(({ kid }) => kid ?? '');
    const found = await Promise.all([...ids, ...ids, ...ids].map((id) => keys.find(id)));
    assert.deepEqual(
      found.map((key) => key?.id),
      [...ids, ...ids, ...ids],
    );
    assert.equal(await keys.find('unknown'), undefined);
  });
});
