import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { newKey, verify } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { type Person, person } from '../harness/people.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';

const POOL = 3;
/** So long that what is heard is heard while it lasts. */
const HELD = {
  COUNTERSIGN_DB_POOL_MAX: String(POOL),
  COUNTERSIGN_DB_POOL_ACQUIRE_TIMEOUT: '3s',
  COUNTERSIGN_DB_STATEMENT_TIMEOUT: '30s',
};

let starved: Service;
let other: Service;

before(async () => {
  starved = await startService({ env: HELD });
  other = await startReplica(starved, { env: PATIENT });
});

/** Makes the calls of some people hold every connection, and others wait, until the test ends. */
async function starve(at: Service, greedy: readonly Person[]): Promise<void> {
  const holder = new pg.Client({ connectionString: at.databaseUrl });
  await holder.connect();
  await holder.query('begin');
  const ids = greedy.map(({ userId }) => userId);
  await holder.query('select 1 from accounts where id = any($1) for update', [ids]);
  const leaving = new AbortController();
  const calls = greedy.flatMap(({ accessToken }) => {
    const account = at.client(AccountService, 'grpc', accessToken);
    const request = { user: { displayName: 'x' } };
    return Array.from({ length: 20 * POOL }, () =>
      account.updateMe(request, { signal: leaving.signal }).catch(() => {}),
    );
  });
  atEnd(async () => {
    leaving.abort();
    await holder.end();
    await Promise.all(calls);
  });
  await eventually(async () => {
    const waiting = await sql(
      at.databaseUrl,
      `select 1 from pg_stat_activity
       where wait_event_type = 'Lock' and datname = current_database()`,
    );
    return waiting.length === POOL;
  });
}

describe('A replica whose connections are all taken by the calls of two accounts', () => {
  it('S09 W06 still hears of revocations, and is ready', async () => {
    const [greedy, another, thief, owner] = await Promise.all([
      person(starved),
      person(starved),
      person(starved),
      person(starved),
    ]);
    const { id, secret } = await newKey(starved, owner);
    assert.equal((await verify(starved, secret)).valid, true);
    const isActive = async (token: string) =>
      (await starved.sessions.introspectToken({ token })).active;
    assert.equal(await isActive(thief.accessToken), true);
    await starve(starved, [greedy, another]);
    await other.auth.logout({ refreshToken: thief.refreshToken });
    await eventually(async () => !(await isActive(thief.accessToken)));
    await sql(
      other.databaseUrl,
      `update api_keys set allowed_cidrs = '{192.0.2.0/24}', version = version + 1,
         changed_at = clock_timestamp() where id = $1`,
      [id],
    );
    // What has changed is read again, as a call of its own: that it is refused a connection is known, too.
    const isTaken = () =>
      verify(starved, secret).then(
        ({ valid }) => valid,
        () => false,
      );
    await eventually(async () => !(await isTaken()));
    assert.notEqual((await starved.app.readiness()).status, 'not ready');
  });
});
