import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { createAccount, PASSWORD, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startService } from '../harness/service.ts';

describe('Login, beside a change of the account', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
  });

  /**
   * Signs in while a transaction that has locked the account makes a change, which commits once the
   * sign-in, its password checked, waits for the account.
   */
  async function signInBeside(email: string, change: string) {
    const client = new pg.Client({ connectionString: service.databaseUrl });
    await client.connect();
    await client.query('begin');
    await client.query('select from accounts where email = $1 for update', [email]);
    await client.query(change, [email]);
    const outcome = signIn(service, email).then(
      (tokens) => ({ tokens, reason: undefined }),
      async (error) => ({ tokens: undefined, ...(await refusal(Promise.reject(error))) }),
    );
    const waiting = `select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    await eventually(async () => (await sql(service.databaseUrl, waiting)).length > 0);
    await client.query('commit');
    await client.end();
    return outcome;
  }

  it('opens no session with a password that was replaced while it was being checked', async () => {
    const email = await createAccount(service);
    await createAccount(service, `${PASSWORD} of another`);
    const { reason } = await signInBeside(
      email,
      `update password_credentials set password_hash =
         (select password_hash from password_credentials order by changed_at desc limit 1)
       where account_id = (select id from accounts where email = $1)`,
    );
    assert.equal(reason, 'INVALID_CREDENTIALS');
    const rows = `select from sessions s join accounts a on a.id = s.account_id where email = $1`;
    assert.deepEqual(await sql(service.databaseUrl, rows, [email]), []);
  });

  it('opens no session of an account that was suspended meanwhile', async () => {
    const email = await createAccount(service);
    const { reason } = await signInBeside(
      email,
      `update accounts set state = 'suspended' where email = $1`,
    );
    assert.equal(reason, 'ACCOUNT_SUSPENDED');
  });

  it('gives the roles as of the moment the session opens', async () => {
    const email = await createAccount(service);
    await sql(service.databaseUrl, `update accounts set roles = '{admin}' where email = $1`, [
      email,
    ]);
    const { tokens } = await signInBeside(
      email,
      `update accounts set roles = '{user}' where email = $1`,
    );
    const token = tokens?.accessToken ?? '';
    const { principal } = await service.sessions.introspectToken({ token });
    assert.deepEqual(principal?.roles, ['user']);
  });
});
