import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { usedChallengesIn } from '../../src/passkeys/used-challenge.repository.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { signInByPasskey, startPasskeyService, withPasskey } from './people.ts';

/** More than go in one batch. */
const EXPIRED = 2500;

describe('Answered challenges', () => {
  it('are forgotten once they have expired, a batch at a time, and no others', async () => {
    const service = await startPasskeyService();
    const { authenticator } = await withPasskey(service);
    await signInByPasskey(service, authenticator);
    await sql(
      service.databaseUrl,
      `insert into used_passkey_challenges
       select sha256(i::text::bytea), now() - interval '1 hour' from generate_series(1, $1) i`,
      [EXPIRED],
    );
    const database = await openDatabase(
      readConfig(service.env, () => ''),
      createLog('silent'),
    );
    atEnd(() => database.close());
    const forget = () =>
      database.read((em) => usedChallengesIn(em).forgetExpired(service.clock.now()));
    let batches = 1;
    while (await forget()) batches += 1;
    assert.equal(batches, 3);
    const left = await sql(service.databaseUrl, 'select 1 from used_passkey_challenges');
    assert.equal(left.length, 2);
  });
});
