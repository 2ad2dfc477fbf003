import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { sql } from '../harness/database.ts';
import { isActive } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { sessionsOf, withSessions } from './own-sessions.ts';

let service: Service;
let replica: Service;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
});

describe('RevokeOtherSessions', () => {
  it("S10 ends all the caller's sessions but the one that calls, and counts them", async () => {
    const [stranger] = (await withSessions(service, 1)) as [Tokens];
    const [own, ...others] = (await withSessions(service, 4)) as [Tokens, ...Tokens[]];
    const { revokedCount } = await sessionsOf(service, own).revokeOtherSessions({});
    assert.equal(revokedCount, 3);
    for (const spared of [own, stranger])
      assert.equal(await isActive(service, spared.accessToken), true);
    for (const other of others) assert.equal(await isActive(service, other.accessToken), false);
    assert.equal((await sessionsOf(service, own).revokeOtherSessions({})).revokedCount, 0);
  });

  it('leaves one session if two of them end each other', async () => {
    const [one, two] = (await withSessions(service, 2)) as [Tokens, Tokens];
    await Promise.allSettled([
      sessionsOf(service, one).revokeOtherSessions({}),
      sessionsOf(replica, two).revokeOtherSessions({}),
    ]);
    const live = await sql(
      service.databaseUrl,
      'select from sessions where id = any($1) and ended_at is null',
      [[one.sessionId, two.sessionId]],
    );
    assert.ok(live.length <= 1);
  });
});
