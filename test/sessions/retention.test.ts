import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { oneTimeTokensIn } from '../../src/one-time-tokens/one-time-token.repository.ts';
import { createLog } from '../../src/platform/log.ts';
import { noHints } from '../../src/platform/redis-hints.ts';
import type { SqlDatabase } from '../../src/platform/sql-database.ts';
import { RevocationFeed } from '../../src/revocations/revocation-feed.ts';
import { openDatabase } from '../../src/schema.ts';
import { sessionsIn } from '../../src/sessions/session.repository.ts';
import { KeySet } from '../../src/signing-keys/key-set.ts';
import { revokedSigningKeysIn } from '../../src/signing-keys/revoked-signing-key.repository.ts';
import { testKeyring } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { signedIn } from '../harness/people.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';

/** More than go in one batch. */
const EXPIRED = 2500;

describe('What has expired', () => {
  let service: Service;
  let database: SqlDatabase;

  before(async () => {
    service = await startService({ env: PATIENT });
    await signedIn(service);
    const config = readConfig(service.env, () => '');
    database = await openDatabase(config, createLog('silent'));
    atEnd(() => database.close());
  });

  const rows = async (table: string) =>
    (await sql(service.databaseUrl, `select id from ${table}`)).length;

  /** Forgets one batch after the other. Returns how many batches it took. */
  async function forgetAll(forget: () => Promise<boolean>): Promise<number> {
    let batches = 1;
    while (await forget()) batches += 1;
    return batches;
  }

  it('is forgotten for sessions, a batch at a time, and nothing else', async () => {
    await sql(
      service.databaseUrl,
      `insert into sessions select gen_random_uuid(), account_id, '', '', '', amr, auth_time,
         created_at, now() - interval '1 hour', null, null, 0, '', 1, refreshed_at
       from sessions, generate_series(1, ${EXPIRED})`,
    );
    const forget = () => database.read((em) => sessionsIn(em).forgetExpired(service.clock.now()));
    assert.equal(await forgetAll(forget), 3);
    assert.equal(await rows('sessions'), 1);
  });

  it('is forgotten for mailed tokens', async () => {
    const before_ = await rows('mailed_tokens');
    await sql(
      service.databaseUrl,
      `insert into mailed_tokens select gen_random_uuid(), id, 'verify_email', '', 1, now(),
         now() - interval '1 hour', now() from accounts, generate_series(1, ${EXPIRED})`,
    );
    const forget = () =>
      database.read((em) => oneTimeTokensIn(em).forgetExpired(service.clock.now()));
    assert.equal(await forgetAll(forget), 3);
    assert.equal(await rows('mailed_tokens'), before_);
  });

  it('is forgotten for revoked signing keys after 90 days', async () => {
    await sql(
      service.databaseUrl,
      `insert into revoked_signing_keys select n, 'ES256', '{}', now(), null, null,
         now() - n * interval '1 day', 'lost' from generate_series(89, 91) n`,
    );
    const now = service.clock.now();
    await forgetAll(() => database.read((em) => revokedSigningKeysIn(em).forgetOld(now)));
    assert.equal(await rows('revoked_signing_keys'), 1);
  });

  it('is forgotten for revocations, while those in force stay', async () => {
    const { refreshToken, accessToken } = await signedIn(service);
    await service.auth.logout({ refreshToken });
    await sql(
      service.databaseUrl,
      `insert into revocations select gen_random_uuid(), 'session', n, 'logout', now(),
         now() - interval '1 second' from generate_series(1, ${EXPIRED}) n`,
    );
    const { clock } = service;
    const config = readConfig(service.env, () => '');
    const feed = new RevocationFeed({
      ...config,
      database,
      clock,
      log: createLog('silent'),
      hints: noHints,
      keys: new KeySet(database, testKeyring()),
    });
    assert.equal(await forgetAll(() => feed.forgetExpired()), 3);
    assert.equal(await rows('revocations'), 1);
    assert.equal((await service.sessions.introspectToken({ token: accessToken })).active, false);
  });
});
