import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { Forger } from '../forge.ts';
import {
  eventually,
  PROTOCOLS,
  refusal,
  type Service,
  signedIn,
  signIn,
  sql,
  startReplica,
  startService,
} from '../harness.ts';

const DAY = 86_400_000;
const UNKNOWN = '01890000-0000-7000-8000-000000000000';

let service: Service;
let replica: Service;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
});

const sessionsOf = ({ accessToken }: { accessToken: string }, at = service) =>
  at.client(SessionService, 'grpc', accessToken);
const isLive = async ({ accessToken: token }: Tokens, at = service) =>
  (await at.sessions.introspectToken({ token })).active;
const userIdOf = ({ accessToken }: Tokens): string =>
  JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()).sub;

/** A person with so many sessions, the first one first. */
async function withSessions(count: number): Promise<Tokens[]> {
  const first = await signedIn(service);
  const sessions: Tokens[] = [first];
  while (sessions.length < count) sessions.push(await signIn(service, first.email));
  return sessions;
}

/** A person whose tokens have a role. */
async function withRole(role: string): Promise<Tokens> {
  const { email } = await signedIn(service);
  await sql(service.databaseUrl, `update accounts set roles = $2 where email = $1`, [
    email,
    [role],
  ]);
  return signIn(service, email);
}

describe('ListSessions', () => {
  it('S10 shows people their own sessions, with device, address and time', async () => {
    const [first, second] = (await withSessions(2)) as [Tokens, Tokens];
    for (const protocol of PROTOCOLS) {
      const client = service.client(SessionService, protocol, first.accessToken);
      const { sessions, nextPageToken } = await client.listSessions({});
      assert.deepEqual(
        sessions.map(({ sessionId, current }) => [sessionId, current]),
        [
          [second.sessionId, false],
          [first.sessionId, true],
        ],
      );
      assert.equal(nextPageToken, '');
      const [session] = sessions;
      assert.deepEqual(
        [session?.deviceLabel, session?.ipAddress, session?.amr, session?.userId],
        ['test', '127.0.0.1', ['pwd'], userIdOf(first)],
      );
      assert.match(session?.userAgent ?? '', /connect/);
      assert.ok(session?.createdAt && session.lastUsedAt && session.expiresAt);
      assert.ok(Math.abs(timestampMs(session.createdAt) - Date.now()) < 60_000);
    }
    await service.auth.refreshToken({ refreshToken: second.refreshToken });
    const { session } = await sessionsOf(first).getSession({ sessionId: second.sessionId });
    assert.ok(session?.createdAt && session.lastUsedAt);
    assert.ok(timestampMs(session.lastUsedAt) > timestampMs(session.createdAt));
  });

  it('gives pages that lead to each other, and meet each session once', async () => {
    const all = await withSessions(7);
    const client = sessionsOf(all[0] as Tokens);
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await client.listSessions({ pageSize: 3, pageToken });
      assert.ok(page.sessions.length <= 3);
      seen.push(...page.sessions.map(({ sessionId }) => sessionId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    assert.deepEqual(seen, all.map(({ sessionId }) => sessionId).reverse());
  });

  it("refuses a page token that is forged, or of somebody else's list", async () => {
    const mine = await withSessions(2);
    const theirs = await withSessions(2);
    const page = await sessionsOf(theirs[0] as Tokens).listSessions({ pageSize: 1 });
    const client = sessionsOf(mine[0] as Tokens);
    for (const pageToken of [page.nextPageToken, 'x', '1..', `${page.nextPageToken}x`]) {
      const refused = await refusal(client.listSessions({ pageToken }));
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['page_token']]);
    }
    const size = await refusal(client.listSessions({ pageSize: 101 }));
    assert.deepEqual(size.fields, ['page_size']);
  });

  it('leaves out what has ended, by whatever', async () => {
    const [own, out, idle] = (await withSessions(3)) as [Tokens, Tokens, Tokens];
    await service.auth.logout({ refreshToken: out.refreshToken });
    await sql(
      service.databaseUrl,
      `update sessions set refreshed_at = now() - interval '15 days' where id = $1`,
      [idle.sessionId],
    );
    const { sessions } = await sessionsOf(own).listSessions({});
    assert.deepEqual(
      sessions.map(({ sessionId }) => sessionId),
      [own.sessionId],
    );
  });

  it('S08 says when a session ends if it is not used, and never later than its absolute end', async () => {
    const [own] = (await withSessions(1)) as [Tokens];
    const end = async () => {
      const { session } = await sessionsOf(own).getSession({ sessionId: own.sessionId });
      return Number(session?.expiresAt?.seconds) * 1000 - Date.now();
    };
    assert.ok(Math.abs((await end()) - 14 * DAY) < 60_000);
    await sql(
      service.databaseUrl,
      `update sessions set expires_at = now() + interval '1 day' where id = $1`,
      [own.sessionId],
    );
    assert.ok(Math.abs((await end()) - DAY) < 60_000);
  });

  it("S10 shows nobody another's, but who has the permission", async () => {
    const [theirs] = (await withSessions(1)) as [Tokens];
    const userId = userIdOf(theirs);
    const [stranger] = (await withSessions(1)) as [Tokens];
    const refused = await refusal(sessionsOf(stranger).listSessions({ userId }));
    assert.deepEqual(
      [refused.code, refused.metadata],
      [Code.PermissionDenied, { permission: 'sessions.read' }],
    );
    const admin = await withRole('admin');
    const { sessions } = await sessionsOf(admin).listSessions({ userId: userId.toUpperCase() });
    assert.deepEqual(
      sessions.map(({ sessionId }) => sessionId),
      [theirs.sessionId],
    );
    assert.deepEqual((await sessionsOf(admin).listSessions({ userId: UNKNOWN })).sessions, []);
  });
});

describe('GetSession', () => {
  it("S10 gives one of one's own, and says the same of others' as of none", async () => {
    const [own] = (await withSessions(1)) as [Tokens];
    const [other] = (await withSessions(1)) as [Tokens];
    const { session } = await sessionsOf(own).getSession({ sessionId: own.sessionId });
    assert.deepEqual([session?.sessionId, session?.current], [own.sessionId, true]);
    const theirs = await refusal(sessionsOf(own).getSession({ sessionId: other.sessionId }));
    const none = await refusal(sessionsOf(own).getSession({ sessionId: UNKNOWN }));
    assert.equal(theirs.code, Code.NotFound);
    assert.deepEqual({ ...theirs, requestId: '' }, { ...none, requestId: '' });
    const admin = await withRole('admin');
    assert.ok((await sessionsOf(admin).getSession({ sessionId: other.sessionId })).session);
  });
});

describe('RevokeSession', () => {
  it('S09 ends a session for every replica, and says so twice', async () => {
    const [own, other] = (await withSessions(2)) as [Tokens, Tokens];
    assert.equal(await isLive(other, replica), true);
    await sessionsOf(own).revokeSession({ sessionId: other.sessionId });
    assert.equal(await isLive(other), false);
    await eventually(async () => !(await isLive(other, replica)), 1000);
    const { refreshToken } = other;
    assert.equal(
      (await refusal(service.auth.refreshToken({ refreshToken }))).reason,
      'TOKEN_REVOKED',
    );
    await sessionsOf(own).revokeSession({ sessionId: other.sessionId });
    assert.equal(await isLive(own), true);
    const events = await sql<{ details: unknown }>(
      service.databaseUrl,
      `select details from audit_events where type = 'session.ended' and details->>'session_id' = $1`,
      [other.sessionId],
    );
    assert.deepEqual(events, [
      { details: { session_id: other.sessionId, cause: 'session_revoked' } },
    ]);
  });

  it("S10 ends nobody another's, but who has the permission", async () => {
    const [own] = (await withSessions(1)) as [Tokens];
    const [other] = (await withSessions(1)) as [Tokens];
    const { sessionId } = other;
    for (const protocol of PROTOCOLS) {
      const client = service.client(SessionService, protocol, own.accessToken);
      const refused = await refusal(client.revokeSession({ sessionId }));
      const none = await refusal(client.revokeSession({ sessionId: UNKNOWN }));
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
    assert.equal(await isLive(other), true);
    const admin = await withRole('admin');
    await sessionsOf(admin).revokeSession({ sessionId: other.sessionId });
    assert.equal(await isLive(other), false);
    const [event] = await sql<{ actor: string; subject: string }>(
      service.databaseUrl,
      `select actor, subject from audit_events where type = 'session.ended' and details->>'session_id' = $1`,
      [other.sessionId],
    );
    assert.deepEqual(event, { actor: userIdOf(admin), subject: userIdOf(other) });
  });

  it('S10 takes one permission to see and another one to end', async () => {
    const forger = await Forger.of(service);
    const holder = async (scope: string) =>
      sessionsOf({ accessToken: await forger.token({ scope, roles: ['admin'] }) });
    const seeing = await holder('sessions.read users.read users.write');
    const ending = await holder('sessions.revoke users.read users.write');
    const [other] = (await withSessions(1)) as [Tokens];
    const { sessionId } = other;
    const userId = userIdOf(other);
    assert.equal((await refusal(ending.getSession({ sessionId }))).code, Code.NotFound);
    assert.equal((await refusal(seeing.revokeSession({ sessionId }))).code, Code.NotFound);
    assert.equal((await refusal(ending.listSessions({ userId }))).code, Code.PermissionDenied);
    assert.equal((await seeing.listSessions({ userId })).sessions.length, 1);
    assert.equal((await seeing.getSession({ sessionId })).session?.userId, userId);
    assert.equal(await isLive(other), true);
    await ending.revokeSession({ sessionId });
    assert.equal(await isLive(other), false);
  });

  it('ends the session that calls, too', async () => {
    const [own] = (await withSessions(1)) as [Tokens];
    await sessionsOf(own).revokeSession({ sessionId: own.sessionId });
    assert.equal((await refusal(sessionsOf(own).listSessions({}))).reason, 'TOKEN_REVOKED');
  });
});

describe('RevokeOtherSessions', () => {
  it("S10 ends all one's own but the one that calls, and counts them", async () => {
    const [stranger] = (await withSessions(1)) as [Tokens];
    const [own, ...others] = (await withSessions(4)) as [Tokens, ...Tokens[]];
    const { revokedCount } = await sessionsOf(own).revokeOtherSessions({});
    assert.equal(revokedCount, 3);
    for (const spared of [own, stranger]) assert.equal(await isLive(spared), true);
    for (const other of others) assert.equal(await isLive(other), false);
    assert.equal((await sessionsOf(own).revokeOtherSessions({})).revokedCount, 0);
  });

  it('leaves one session where two of them end each other', async () => {
    const [one, two] = (await withSessions(2)) as [Tokens, Tokens];
    await Promise.allSettled([
      sessionsOf(one).revokeOtherSessions({}),
      sessionsOf(two, replica).revokeOtherSessions({}),
    ]);
    const live = await sql(
      service.databaseUrl,
      'select from sessions where id = any($1) and ended_at is null',
      [[one.sessionId, two.sessionId]],
    );
    assert.ok(live.length <= 1);
  });
});
