import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import {
  formatRefreshToken,
  parseRefreshToken,
  successorOf,
} from '../../src/sessions/refresh-secret.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { testKeyring } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, NEW_PASSWORD, PASSWORD, type Person, person } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { manySessions, type Opened } from './many-sessions.ts';
import { rotatedEarlier } from './rotated-earlier.ts';

const keyring = testKeyring();
let service: Service;
let replica: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  boss = await withRoles(service, 'user', 'admin');
});

/** The token that every replica gives for this one. */
function successor(refreshToken: string): string {
  const token = parseRefreshToken(keyring, refreshToken);
  assert.ok(token);
  return formatRefreshToken(keyring, successorOf(keyring, token));
}

/** The next refresh token, or the reason why there is none. */
async function outcome(refreshToken: string, at: Service, signal?: AbortSignal) {
  const call = at.auth.refreshToken({ refreshToken }, signal ? { signal } : {});
  try {
    return (await call).tokens?.refreshToken;
  } catch {
    const { reason, code } = await refusal(call);
    return reason ?? Code[code];
  }
}

/** What has become of sessions: generation and cause of their end, each once. */
async function fates(opened: readonly Opened[]): Promise<string[]> {
  const rows = await sql<{ fate: string }>(
    service.databaseUrl,
    `select distinct concat_ws(' ', refresh_generation, end_cause) as fate from sessions
     where id = any($1)`,
    [opened.map(({ sessionId }) => sessionId)],
  );
  return rows.map(({ fate }) => fate);
}

describe('RefreshToken, crowds on two replicas', () => {
  it('S07 ends the session of a reused token, and raises one alarm, whatever goes with it', async () => {
    const [reused, ended, ...good] = (await manySessions(service, 40)) as [
      Opened,
      Opened,
      ...Opened[],
    ];
    await outcome(reused.refreshToken, service);
    await rotatedEarlier(service, reused.sessionId, '1 hour');
    await service.auth.logout(ended);
    const asked = [...good.slice(0, 19), reused, ended, ...good.slice(19)];
    const [here, there] = await Promise.all(
      [service, replica].map((at) =>
        Promise.all(asked.map(({ refreshToken }) => outcome(refreshToken, at))),
      ),
    );
    const place = asked.indexOf(reused);
    const ofReused = [here?.splice(place, 1)[0], there?.splice(place, 1)[0]];
    assert.deepEqual(ofReused.sort(), ['REFRESH_TOKEN_REUSED', 'TOKEN_REVOKED']);
    const expected = asked
      .filter((each) => each !== reused)
      .map((each) => (each === ended ? 'TOKEN_REVOKED' : successor(each.refreshToken)));
    assert.deepEqual([here, there], [expected, expected]);
    assert.deepEqual(await fates(good), ['1']);
    assert.deepEqual(await fates([reused]), ['1 refresh_token_reused']);
    const alarms = await sql(
      service.databaseUrl,
      `select from audit_events where type = 'session.refresh_token_reused'`,
    );
    assert.equal(alarms.length, 1);
  });

  it('S06 gives callers who left the same successor on either replica', async () => {
    const opened = await manySessions(service, 40);
    const leaving = new AbortController();
    const calls = opened.map(({ refreshToken }, i) =>
      outcome(refreshToken, i % 2 ? service : replica, i % 4 > 1 ? leaving.signal : undefined),
    );
    await Promise.race(calls);
    leaving.abort();
    const given = await Promise.all(calls);
    const expected = opened.map(({ refreshToken }) => successor(refreshToken));
    const isServed = (place: number) => place % 4 < 2 || given[place] !== 'Canceled';
    assert.deepEqual(
      given.filter((_, i) => isServed(i)),
      expected.filter((_, i) => isServed(i)),
    );
    for (const at of [service, replica]) {
      // Ten seconds may be over on a busy machine.
      await sql(service.databaseUrl, 'update sessions set rotated_at = now() where id = any($1)', [
        opened.map(({ sessionId }) => sessionId),
      ]);
      const again = opened.map(({ refreshToken }) => outcome(refreshToken, at));
      assert.deepEqual(await Promise.all(again), expected);
    }
    assert.deepEqual(await fates(opened), ['1']);
  });
});

type End = (who: Person) => Promise<unknown>;

const ENDS: Record<string, End> = {
  'a suspension': ({ userId }) => boss.admin.suspendUser({ userId }),
  'a change of password': ({ accessToken }) =>
    service
      .client(AccountService, 'grpc', accessToken)
      .changePassword({ currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
};

describe('RefreshToken, while all sessions of an account are refreshed on two replicas', () => {
  for (const [name, end] of Object.entries(ENDS)) {
    it(`S09 ${name} ends them for good, and no other`, async () => {
      const who = await person(service);
      const [own, others] = [await manySessions(service, 20), await manySessions(service, 20)];
      await sql(service.databaseUrl, 'update sessions set account_id = $2 where id = any($1)', [
        own.map(({ sessionId }) => sessionId),
        who.userId,
      ]);
      let isOver = false;
      let isAcknowledged = false;
      const given: string[] = [];
      const client = async ({ refreshToken }: Opened, place: number) => {
        for (let turn = place, token = refreshToken; !isOver; turn += 1) {
          const wasAcknowledged = isAcknowledged;
          const call = (turn % 2 ? service : replica).auth.refreshToken({ refreshToken: token });
          const tokens = await call.then(
            ({ tokens }) => tokens,
            () => undefined,
          );
          if (!tokens) return (await refusal(call)).reason;
          token = tokens.refreshToken;
          if (place < 20) given.push(tokens.accessToken);
          if (place < 20 && wasAcknowledged) return 'survived';
        }
        return undefined;
      };
      const work = [...own, ...others].map(client);
      await eventually(() => given.length > 40);
      await end(who);
      isAcknowledged = true;
      const acknowledged = given.slice(-20).map((token) => isActive(service, token));
      assert.deepEqual(new Set(await Promise.all(acknowledged)), new Set([false]));
      assert.deepEqual(new Set(await Promise.all(work.slice(0, 20))), new Set(['TOKEN_REVOKED']));
      isOver = true;
      assert.deepEqual(new Set(await Promise.all(work)), new Set(['TOKEN_REVOKED', undefined]));
      const last = given.slice(-20).map((token) => isActive(service, token));
      assert.deepEqual(new Set(await Promise.all(last)), new Set([false]));
    });
  }
});
