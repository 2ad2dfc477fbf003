import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { hashPassword } from '../../src/passwords/password-hash.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { createAccount, PASSWORD } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';

describe('Login, if the account changes while its password is being checked', () => {
  let service: Service;
  let costly: string;

  before(async () => {
    service = await startService({ env: PATIENT });
    // Checked in half a second or so: long enough for a change.
    costly = await hashPassword(PASSWORD, { memoryCost: 65_536, timeCost: 10 });
  });

  /** Signs in, and makes a change once the hash has been read. Returns what the caller is told. */
  async function signInAround(change: string): Promise<string> {
    for (let tries = 0; tries < 10; tries += 1) {
      const told = await tryAround(change);
      if (told !== undefined) return told;
    }
    throw new Error('the reading of the hash was never seen');
  }

  /** The same; undefined if the sign-in is over before the reading has been seen. */
  async function tryAround(change: string): Promise<string | undefined> {
    const email = await createAccount(service);
    const owner = '(select id from accounts where email = $1)';
    await sql(
      service.databaseUrl,
      `update password_credentials set password_hash = $2 where account_id = ${owner}`,
      [email, costly],
    );
    const [clock] = await sql(service.databaseUrl, 'select clock_timestamp()::text as now');
    const answer = service.auth.login({ email, password: PASSWORD, deviceLabel: 'test' }).then(
      ({ outcome }) => outcome.case ?? 'nothing',
      async (error) => String((await refusal(Promise.reject(error))).reason),
    );
    const read = `select from pg_stat_activity where datname = current_database()
      and query like 'select a.id, p.password_hash%' and query_start > $1 and state = 'idle'`;
    let isOver = false;
    void answer.then(() => {
      isOver = true;
    });
    let isRead = false;
    await eventually(async () => {
      isRead = (await sql(service.databaseUrl, read, [clock?.['now']])).length > 0;
      return isRead || isOver;
    });
    if (!isRead || isOver) return undefined;
    await sql(service.databaseUrl, change.replace('OWNER', owner), [email]);
    const told = await answer;
    const sessions = `select from sessions where account_id = ${owner}`;
    const opened = (await sql(service.databaseUrl, sessions, [email])).length;
    assert.equal(opened, told === 'tokens' ? 1 : 0);
    return told;
  }

  it('opens a session if nothing that matters has changed', async () => {
    const told = await signInAround(`update accounts set display_name = 'Kim' where id = OWNER`);
    assert.equal(told, 'tokens');
  });

  it('refuses it once the account is suspended', async () => {
    const told = await signInAround(`update accounts set state = 'suspended' where id = OWNER`);
    assert.equal(told, 'ACCOUNT_SUSPENDED');
  });

  it('refuses it once the address is no longer verified', async () => {
    const told = await signInAround(
      'update accounts set email_verified_at = null where id = OWNER',
    );
    assert.equal(told, 'EMAIL_NOT_VERIFIED');
  });

  it('C05 refuses it once wrong passwords have locked the account', async () => {
    const told = await signInAround(
      `insert into sign_in_locks select OWNER, 'password', 5, now() + interval '1 hour'`,
    );
    assert.equal(told, 'INVALID_CREDENTIALS');
  });

  it('refuses it once the password is another one', async () => {
    const told = await signInAround(
      `update password_credentials set password_hash = replace(password_hash, '$argon2id$', '$argon2i$')
       where account_id = OWNER`,
    );
    assert.equal(told, 'INVALID_CREDENTIALS');
  });

  it('asks for the second factor once there is one', async () => {
    const told = await signInAround(
      `insert into totp_credentials (account_id, secret_sealed, created_at, confirmed_at, last_step)
       values (OWNER, '', now(), now(), 0)`,
    );
    assert.equal(told, 'mfa');
  });
});
