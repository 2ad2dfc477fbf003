import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import {
  firstRefreshSecret,
  formatRefreshToken,
  parseRefreshToken,
  successorOf,
} from '../../src/sessions/refresh-secret.ts';
import { testKeyring } from '../forge.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn, UNKNOWN_ID } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { manySessions, type Opened } from './many-sessions.ts';
import { rotatedEarlier } from './rotated-earlier.ts';

const keyring = testKeyring();

/** The token that every replica gives for this one. */
function successor(refreshToken: string): string {
  const token = parseRefreshToken(keyring, refreshToken);
  assert.ok(token);
  return formatRefreshToken(keyring, successorOf(keyring, token));
}

/** Runs a statement in a transaction of its own, and keeps its locks until it is let go. */
async function locked(databaseUrl: string, text: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query(text, values);
  const letGo = () => client.end();
  atEnd(letGo);
  return { letGo };
}

/** While this is held, every exchange waits. */
const ALL = 'lock table sessions in exclusive mode';

describe('RefreshToken, many at once', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
    replica = await startReplica(service);
  });

  async function refresh({ refreshToken }: { refreshToken: string }, at = service) {
    return (await at.auth.refreshToken({ refreshToken })).tokens?.refreshToken ?? '';
  }

  /** Waits until so many statements wait for locks. */
  const waiting = (count = 1) =>
    eventually(async () => {
      const [row] = await sql<{ count: string }>(
        service.databaseUrl,
        `select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return Number(row?.count) >= count;
    });

  const generations = async (opened: readonly Opened[]) => {
    const rows = await sql<{ refresh_generation: number }>(
      service.databaseUrl,
      'select refresh_generation from sessions where id = any($1)',
      [opened.map(({ sessionId }) => sessionId)],
    );
    return rows.map((row) => row.refresh_generation);
  };

  it('exchanges 200 tokens, each for its own successor, in a few statements', async () => {
    const opened = await manySessions(service, 200);
    const { letGo } = await locked(service.databaseUrl, ALL);
    const calls = Promise.all(opened.map((each) => refresh(each)));
    await waiting();
    // When this is answered, everything before it on the connection has arrived.
    await refusal(refresh({ refreshToken: 'junk' }));
    await letGo();
    assert.deepEqual(
      await calls,
      opened.map(({ refreshToken }) => successor(refreshToken)),
    );
    assert.deepEqual(new Set(await generations(opened)), new Set([1]));
    const [row] = await sql<{ count: string }>(
      service.databaseUrl,
      'select count(distinct xmin::text) from sessions where id = any($1)',
      [opened.map(({ sessionId }) => sessionId)],
    );
    assert.ok(Number(row?.count) <= 20, row?.count);
  });

  it('S07 S08 answers each by itself, whatever the others are', async () => {
    const opened = await manySessions(service, 11);
    const [ended, over, idle, reused, twice, ...good] = opened as [
      Opened,
      Opened,
      Opened,
      Opened,
      Opened,
      ...Opened[],
    ];
    const set = (what: string, { sessionId }: Opened) =>
      sql(service.databaseUrl, `update sessions set ${what} where id = $1`, [sessionId]);
    await set('ended_at = now()', ended);
    await set("expires_at = now() - interval '1 hour'", over);
    await set("refreshed_at = now() - interval '15 days'", idle);
    await refresh(reused);
    await rotatedEarlier(service, reused.sessionId, '1 hour');
    const suspended = await signedIn(service);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      suspended.email,
    ]);
    const unknown = firstRefreshSecret(keyring, UNKNOWN_ID);
    const { letGo } = await locked(service.databaseUrl, ALL);
    const refused = Promise.all(
      [
        ended,
        over,
        idle,
        reused,
        suspended,
        { refreshToken: formatRefreshToken(keyring, unknown) },
      ].map(async (each) => (await refusal(refresh(each))).reason),
    );
    const given = Promise.all([twice, twice, ...good].map((each) => refresh(each)));
    await waiting();
    await letGo();
    assert.deepEqual(await refused, [
      'TOKEN_REVOKED',
      'TOKEN_EXPIRED',
      'TOKEN_EXPIRED',
      'REFRESH_TOKEN_REUSED',
      'TOKEN_REVOKED',
      'TOKEN_INVALID',
    ]);
    assert.deepEqual(
      await given,
      [twice, twice, ...good].map(({ refreshToken }) => successor(refreshToken)),
    );
    assert.deepEqual(new Set(await generations([twice, ...good])), new Set([1]));
  });

  it('keeps only the caller waiting whose session is locked', async () => {
    const [busy, ...others] = (await manySessions(service, 60)) as [Opened, ...Opened[]];
    const { letGo } = await locked(
      service.databaseUrl,
      'select from sessions where id = $1 for update',
      [busy.sessionId],
    );
    let isServed = false;
    const late = refresh(busy).finally(() => {
      isServed = true;
    });
    const given = await Promise.all(others.map((each) => refresh(each)));
    assert.deepEqual(
      given,
      others.map(({ refreshToken }) => successor(refreshToken)),
    );
    assert.equal(isServed, false);
    await letGo();
    assert.equal(await late, successor(busy.refreshToken));
  });

  it('ends the wait of callers who leave, or whose deadline passes, and serves the others', async () => {
    const [hasty, gone, ...others] = (await manySessions(service, 100)) as [
      Opened,
      Opened,
      ...Opened[],
    ];
    const { letGo } = await locked(service.databaseUrl, ALL);
    const leaving = new AbortController();
    const calls = others.slice(0, 49).map((each) => refresh(each));
    const late = refusal(service.auth.refreshToken(hasty, { timeoutMs: 300 }));
    const left = refusal(service.auth.refreshToken(gone, { signal: leaving.signal }));
    calls.push(...others.slice(49).map((each) => refresh(each)));
    await waiting();
    leaving.abort();
    assert.equal((await late).code, Code.DeadlineExceeded);
    assert.equal((await left).code, Code.Canceled);
    await letGo();
    assert.deepEqual(
      await Promise.all(calls),
      others.map(({ refreshToken }) => successor(refreshToken)),
    );
    assert.equal(await refresh(hasty), successor(hasty.refreshToken));
    assert.equal(await refresh(gone), successor(gone.refreshToken));
    assert.deepEqual(new Set(await generations([hasty, gone])), new Set([1]));
  });

  it('S05 two replicas exchange the same tokens, in opposite order, for one successor each', async () => {
    const opened = await manySessions(service, 31);
    let tokens = opened.map(({ refreshToken }) => refreshToken);
    for (let round = 1; round <= 5; round += 1) {
      const { letGo } = await locked(
        service.databaseUrl,
        'select from sessions where id = $1 for update',
        [opened[15]?.sessionId],
      );
      const here = tokens.map((refreshToken) => refresh({ refreshToken }));
      const there = tokens.toReversed().map((refreshToken) => refresh({ refreshToken }, replica));
      await waiting(2);
      await letGo();
      const given = await Promise.all(here);
      // A deadlock would end one of them, and its callers would be told.
      assert.deepEqual((await Promise.all(there)).toReversed(), given);
      assert.deepEqual(given, tokens.map(successor));
      tokens = given;
    }
    assert.deepEqual(new Set(await generations(opened)), new Set([5]));
  });
});

describe('RefreshToken, many at once, when the connection breaks', () => {
  it('S14 says UNAVAILABLE to all, and gives each the same successor when it asks again', async () => {
    const direct = await createDatabase();
    const proxy = new TcpProxy(direct);
    atEnd(() => proxy.close());
    const service = await startService({ databaseUrl: await proxy.listen(direct), env: PATIENT });
    const opened = await manySessions({ ...service, databaseUrl: direct }, 80);
    const { letGo } = await locked(direct, ALL);
    const refresh = ({ refreshToken }: Opened) => service.auth.refreshToken({ refreshToken });
    const calls = opened.map((each) => refusal(refresh(each)));
    const count = async (condition: string) => {
      const [row] = await sql<{ count: string }>(direct, `select count(*) ${condition}`);
      return Number(row?.count);
    };
    await eventually(
      async () =>
        (await count(
          "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )) > 0,
    );
    proxy.down();
    const reasons = new Set((await Promise.all(calls)).map(({ reason }) => reason));
    assert.deepEqual(reasons, new Set(['DEPENDENCY_UNAVAILABLE']));
    await letGo();
    // The server has not noticed, and exchanges the tokens of those who have been told that it could not.
    await eventually(async () => (await count('from sessions where refresh_generation = 1')) > 0);
    proxy.open();
    for (const each of opened) {
      await eventually(() =>
        refresh(each).then(
          ({ tokens }) => tokens?.refreshToken === successor(each.refreshToken),
          () => false,
        ),
      );
    }
    assert.equal(await count('from sessions where refresh_generation = 1'), opened.length);
  });
});
