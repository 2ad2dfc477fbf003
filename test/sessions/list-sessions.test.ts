import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { person, UNKNOWN_ID, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { sessionsOf, withSessions } from './own-sessions.ts';

const DAY = 86_400_000;

let service: Service;

before(async () => {
  service = await startService();
});

describe('ListSessions', () => {
  it('S10 shows people their own sessions, with device, address and time', async () => {
    const [first, second] = (await withSessions(service, 2)) as [Tokens, Tokens];
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
    const { session } = await sessionsOf(service, first).getSession({
      sessionId: second.sessionId,
    });
    assert.ok(session?.createdAt && session.lastUsedAt);
    assert.ok(timestampMs(session.lastUsedAt) > timestampMs(session.createdAt));
  });

  it('returns pages that lead to each other, with each session once', async () => {
    const all = await withSessions(service, 7);
    const client = sessionsOf(service, all[0] as Tokens);
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
    const mine = await withSessions(service, 2);
    const theirs = await withSessions(service, 2);
    const page = await sessionsOf(service, theirs[0] as Tokens).listSessions({ pageSize: 1 });
    const client = sessionsOf(service, mine[0] as Tokens);
    for (const pageToken of [page.nextPageToken, 'x', '1..', `${page.nextPageToken}x`]) {
      const refused = await refusal(client.listSessions({ pageToken }));
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['page_token']]);
    }
    const size = await refusal(client.listSessions({ pageSize: 101 }));
    assert.deepEqual(size.fields, ['page_size']);
  });

  it('leaves out sessions that have ended, for any reason', async () => {
    const [own, out, idle] = (await withSessions(service, 3)) as [Tokens, Tokens, Tokens];
    await service.auth.logout({ refreshToken: out.refreshToken });
    await sql(
      service.databaseUrl,
      `update sessions set refreshed_at = now() - interval '15 days' where id = $1`,
      [idle.sessionId],
    );
    const { sessions } = await sessionsOf(service, own).listSessions({});
    assert.deepEqual(
      sessions.map(({ sessionId }) => sessionId),
      [own.sessionId],
    );
  });

  it('S08 says when a session ends if it is not used, and never later than its absolute end', async () => {
    const [own] = (await withSessions(service, 1)) as [Tokens];
    const end = async () => {
      const { session } = await sessionsOf(service, own).getSession({ sessionId: own.sessionId });
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

  it("S10 shows another's sessions only with the permission", async () => {
    const [theirs] = (await withSessions(service, 1)) as [Tokens];
    const userId = userIdOf(theirs);
    const [stranger] = (await withSessions(service, 1)) as [Tokens];
    const refused = await refusal(sessionsOf(service, stranger).listSessions({ userId }));
    assert.deepEqual(
      [refused.code, refused.metadata],
      [Code.PermissionDenied, { permission: 'sessions.read' }],
    );
    const admin = await person(service, 'admin');
    const { sessions } = await sessionsOf(service, admin).listSessions({
      userId: userId.toUpperCase(),
    });
    assert.deepEqual(
      sessions.map(({ sessionId }) => sessionId),
      [theirs.sessionId],
    );
    assert.deepEqual(
      (await sessionsOf(service, admin).listSessions({ userId: UNKNOWN_ID })).sessions,
      [],
    );
  });
});
