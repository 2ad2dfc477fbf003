import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { Forger } from '../forge.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, person, UNKNOWN_ID, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { sessionsOf, withSessions } from './own-sessions.ts';

let service: Service;
let replica: Service;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
});

describe('RevokeSession', () => {
  it('S09 ends a session on every replica, and can be repeated', async () => {
    const [own, other] = (await withSessions(service, 2)) as [Tokens, Tokens];
    assert.equal(await isActive(replica, other.accessToken), true);
    await sessionsOf(service, own).revokeSession({ sessionId: other.sessionId });
    assert.equal(await isActive(service, other.accessToken), false);
    await eventually(async () => !(await isActive(replica, other.accessToken)));
    const { refreshToken } = other;
    assert.equal(
      (await refusal(service.auth.refreshToken({ refreshToken }))).reason,
      'TOKEN_REVOKED',
    );
    await sessionsOf(service, own).revokeSession({ sessionId: other.sessionId });
    assert.equal(await isActive(service, own.accessToken), true);
    const events = await sql<{ details: unknown }>(
      service.databaseUrl,
      `select details from audit_events where type = 'session.ended' and details->>'session_id' = $1`,
      [other.sessionId],
    );
    assert.deepEqual(events, [
      { details: { session_id: other.sessionId, cause: 'session_revoked' } },
    ]);
  });

  it("S10 ends another's session only with the permission", async () => {
    const [own] = (await withSessions(service, 1)) as [Tokens];
    const [other] = (await withSessions(service, 1)) as [Tokens];
    const { sessionId } = other;
    for (const protocol of PROTOCOLS) {
      const client = service.client(SessionService, protocol, own.accessToken);
      const refused = await refusal(client.revokeSession({ sessionId }));
      const none = await refusal(client.revokeSession({ sessionId: UNKNOWN_ID }));
      assert.equal(refused.code, Code.NotFound);
      assert.deepEqual({ ...refused, requestId: '' }, { ...none, requestId: '' });
      const nobody = service.client(SessionService, protocol);
      const calls = [
        nobody.revokeSession({ sessionId }),
        nobody.getSession({ sessionId }),
        nobody.listSessions({ userId: userIdOf(other) }),
        nobody.revokeOtherSessions({}),
      ];
      for (const each of await Promise.all(calls.map(refusal))) {
        assert.equal(each.reason, 'CREDENTIALS_MISSING');
      }
    }
    assert.equal(await isActive(service, other.accessToken), true);
    const admin = await person(service, 'admin');
    await sessionsOf(service, admin).revokeSession({ sessionId: other.sessionId });
    assert.equal(await isActive(service, other.accessToken), false);
    const [event] = await sql<{ actor: string; subject: string }>(
      service.databaseUrl,
      `select actor, subject from audit_events where type = 'session.ended' and details->>'session_id' = $1`,
      [other.sessionId],
    );
    assert.deepEqual(event, { actor: userIdOf(admin), subject: userIdOf(other) });
  });

  it('S10 needs one permission to see a session and another to end it', async () => {
    const forger = await Forger.of(service);
    const holder = async (scope: string) =>
      sessionsOf(service, { accessToken: await forger.token({ scope, roles: ['admin'] }) });
    const seeing = await holder('sessions.read users.read users.write');
    const ending = await holder('sessions.revoke users.read users.write');
    const [other] = (await withSessions(service, 1)) as [Tokens];
    const { sessionId } = other;
    const userId = userIdOf(other);
    assert.equal((await refusal(ending.getSession({ sessionId }))).code, Code.NotFound);
    assert.equal((await refusal(seeing.revokeSession({ sessionId }))).code, Code.NotFound);
    assert.equal((await refusal(ending.listSessions({ userId }))).code, Code.PermissionDenied);
    assert.equal((await seeing.listSessions({ userId })).sessions.length, 1);
    assert.equal((await seeing.getSession({ sessionId })).session?.userId, userId);
    assert.equal(await isActive(service, other.accessToken), true);
    await ending.revokeSession({ sessionId });
    assert.equal(await isActive(service, other.accessToken), false);
  });

  it('ends the caller’s own session, too', async () => {
    const [own] = (await withSessions(service, 1)) as [Tokens];
    await sessionsOf(service, own).revokeSession({ sessionId: own.sessionId });
    assert.equal(
      (await refusal(sessionsOf(service, own).listSessions({}))).reason,
      'TOKEN_REVOKED',
    );
  });
});
