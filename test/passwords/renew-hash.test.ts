import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { createAccount, PASSWORD, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { HASHED, HASHES } from './hashes.ts';

const CURRENT = /^\$argon2id\$v=19\$m=7168,t=1,p=1\$/;

describe('Login, with a hash that we would make differently', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const OF_ACCOUNT = `account_id = (select id from accounts where email = $1)`;

  async function stored(email: string) {
    const text = `select password_hash as hash, changed_at as "changedAt" from password_credentials where ${OF_ACCOUNT}`;
    const [row] = await sql<{ hash: string; changedAt: Date }>(service.databaseUrl, text, [email]);
    assert.ok(row);
    return row;
  }

  /** An account whose hash another program made. */
  async function imported(hash: string): Promise<string> {
    const email = await createAccount(service);
    const text = `update password_credentials set password_hash = $2 where ${OF_ACCOUNT}`;
    await sql(service.databaseUrl, text, [email, hash]);
    return email;
  }

  for (const [kind, hash] of Object.entries(HASHES)) {
    it(`C03 accepts the password and stores a hash of ours in place of ${kind}`, async () => {
      const email = await imported(hash);
      const { changedAt } = await stored(email);
      const wrong = await refusal(signIn(service, email, `${HASHED}!`));
      assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
      assert.equal((await stored(email)).hash, hash);
      await signIn(service, email, HASHED);
      const renewed = await stored(email);
      assert.match(renewed.hash, CURRENT);
      assert.deepEqual(renewed.changedAt, changedAt);
      await signIn(service, email, HASHED.normalize('NFD'));
      assert.deepEqual(await stored(email), renewed);
    });
  }

  it('C03 renews hashes when the cost that is configured has changed', async () => {
    const email = await createAccount(service);
    const dearer = await startReplica(service, { env: { COUNTERSIGN_ARGON2_TIME_COST: '2' } });
    await signIn(dearer, email);
    assert.match((await stored(email)).hash, /^\$argon2id\$v=19\$m=7168,t=2,p=1\$/);
    await signIn(service, email);
    assert.match((await stored(email)).hash, CURRENT);
  });

  it('C03 lets in everyone who signs in at once with the old hash', async () => {
    const email = await imported(HASHES.scrypt);
    await Promise.all(Array.from({ length: 8 }, () => signIn(service, email, HASHED)));
    assert.match((await stored(email)).hash, CURRENT);
  });

  it('C03 keeps a password that is changed meanwhile', async () => {
    const email = await imported(HASHES.scrypt);
    const other = await stored(await createAccount(service, `${PASSWORD} of another`));
    const client = new pg.Client({ connectionString: service.databaseUrl });
    await client.connect();
    atEnd(() => client.end());
    await client.query('begin');
    const change = `update password_credentials set password_hash = $2 where ${OF_ACCOUNT}`;
    await client.query(change, [email, other.hash]);
    const signedIn = signIn(service, email, HASHED);
    await eventually(async () => {
      const text = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      return (await sql(service.databaseUrl, text)).length > 0;
    });
    await client.query('commit');
    await signedIn;
    assert.equal((await stored(email)).hash, other.hash);
    assert.equal((await refusal(signIn(service, email, HASHED))).reason, 'INVALID_CREDENTIALS');
  });

  it('succeeds even if the new hash cannot be stored', async () => {
    const email = await imported(HASHES.scrypt);
    await sql(
      service.databaseUrl,
      `create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'not now'; end $$;
       create trigger refuse before update on password_credentials for each row execute function refuse()`,
    );
    await signIn(service, email, HASHED);
    assert.equal((await stored(email)).hash, HASHES.scrypt);
    await sql(service.databaseUrl, 'drop trigger refuse on password_credentials');
    await signIn(service, email, HASHED);
    assert.match((await stored(email)).hash, CURRENT);
  });

  const SALT = 'AQIDBAUGBwgJCgsMDQ4PEA';
  const DERIVED = 'gAaxLnEhd+itJodF81XlgsxxseTpZXv2ZoI096eZLiQ';
  // An earlier version let some of these in.
  const uncheckable = {
    'of no known kind': '$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/',
    'that takes half a minute': `$argon2id$v=19$m=128,t=8192,p=16$${SALT}$${DERIVED}`,
    'with a comma too many': `$argon2i$v=19$m=64,t=1,p=1,$${SALT}$${DERIVED}`,
    'with bits to spare': `$argon2id$v=19$m=64,t=1,p=1$${SALT}$${DERIVED.slice(0, -1)}R`,
    'of more rounds than its block allows': `$scrypt$ln=21,r=1,p=1$${SALT}$${DERIVED}`,
  };
  for (const [what, hash] of Object.entries(uncheckable)) {
    it(`C17 refuses a hash ${what} as it refuses a wrong password, and counts it`, async () => {
      const email = await imported(hash);
      assert.equal((await refusal(signIn(service, email, HASHED))).reason, 'INVALID_CREDENTIALS');
      const [row] = await sql<{ failures: number }>(
        service.databaseUrl,
        `select failures from sign_in_locks where ${OF_ACCOUNT}`,
        [email],
      );
      assert.equal(row?.failures, 1);
    });
  }
});
