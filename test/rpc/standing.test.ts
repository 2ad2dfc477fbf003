import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuditService } from '../../gen/countersign/v1/audit_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { user } from '../access/shop.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { PROTOCOLS, type Protocol } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { TestClock } from '../harness/test-clock.ts';

const limits = { checkpointMs: 100 };
/** More than fits into what the two ends hold for a reader that does not read. */
const USERS = 20_000;
const TOKEN_MS = 10 * 60_000;

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService({ limits });
  boss = await withRoles(service, 'user', 'admin');
});

/** A stream that continues until it is ended; `heard` counts its messages. */
class Open {
  heard = 0;
  readonly reason: Promise<string | undefined>;
  readonly #leaving = new AbortController();

  constructor(open: (options: { signal: AbortSignal }) => AsyncIterable<unknown>) {
    const read = async () => {
      for await (const _ of open({ signal: this.#leaving.signal })) this.heard += 1;
    };
    this.reason = refusal(read()).then(({ reason }) => reason);
    atEnd(() => this.#leaving.abort());
  }
}

/** The streams that a credential opens on a replica, by a protocol, each with a first message. */
async function openAll(at: Service, protocol: Protocol, credential: string): Promise<Open[]> {
  const audit = at.client(AuditService, protocol, credential);
  const sessions = at.client(SessionService, protocol, credential);
  const streams = [
    new Open((options) => audit.watchAuditEvents({}, options)),
    new Open((options) => sessions.watchRevocations({}, options)),
  ];
  await eventually(() => streams.every(({ heard }) => heard > 0));
  return streams;
}

async function assertEnded(streams: Open[], reason: string): Promise<void> {
  for (const each of streams) assert.equal(await each.reason, reason);
}

describe('A stream that a credential opened', () => {
  for (const protocol of PROTOCOLS) {
    it(`S13 by ${protocol}: ends with its session, its owner's role, and its owner's suspension`, async () => {
      const replica = await startReplica(service, { limits });
      const ways: ((who: Administrator) => Promise<unknown>)[] = [
        ({ refreshToken }) => service.auth.logout({ refreshToken }),
        ({ userId }) => boss.admin.revokeRole({ holder: user(userId), role: 'admin' }),
        ({ userId }) => boss.admin.suspendUser({ userId }),
      ];
      for (const way of ways) {
        const who = await withRoles(service, 'user', 'admin');
        const streams = await openAll(replica, protocol, who.accessToken);
        await way(who);
        await assertEnded(streams, 'TOKEN_REVOKED');
      }
    });

    it(`S13 by ${protocol}: ends when the token does`, async () => {
      const clock = new TestClock();
      const replica = await startReplica(service, { clock, limits });
      const who = await withRoles(replica, 'user', 'admin');
      const streams = await openAll(replica, protocol, who.accessToken);
      clock.advance(TOKEN_MS);
      await assertEnded(streams, 'TOKEN_EXPIRED');
    });

    it(`S13 by ${protocol}: ends with its API key, or when the key may do less`, async () => {
      const scopes = ['audit.read', 'tokens.introspect'];
      const owner = await withRoles(service, 'user', 'admin');
      const keys = service.client(ApiKeyService, 'grpc', owner.accessToken);
      const [gone, less] = [
        await newKey(service, owner, { scopes }),
        await newKey(service, owner, { scopes }),
      ];
      const ofGone = await openAll(service, protocol, gone.secret);
      const ofLess = await openAll(service, protocol, less.secret);
      await keys.revokeApiKey({ apiKeyId: gone.id });
      await keys.updateApiKey({
        apiKey: { apiKeyId: less.id, scopes: ['users.read'] },
        updateMask: { paths: ['scopes'] },
      });
      await assertEnded(ofGone, 'TOKEN_REVOKED');
      await assertEnded(ofLess, 'PERMISSION_DENIED');
    });

    it(`S13 by ${protocol}: ends as soon as there is news of its API key or the key's owner`, async () => {
      const onNews = { ...limits, streamJudgedMs: 3_600_000 };
      const replica = await startReplica(service, { limits: onNews });
      const ways: ((owner: Administrator, apiKeyId: string) => Promise<unknown>)[] = [
        ({ accessToken }, apiKeyId) =>
          service
            .client(ApiKeyService, 'grpc', accessToken)
            .updateApiKey({ apiKey: { apiKeyId }, updateMask: { paths: ['scopes'] } }),
        ({ userId }) => boss.admin.revokeRole({ holder: user(userId), role: 'admin' }),
        ({ userId }) => boss.admin.suspendUser({ userId }),
      ];
      for (const way of ways) {
        const owner = await withRoles(service, 'user', 'admin');
        const scopes = ['audit.read', 'tokens.introspect'];
        const { id, secret } = await newKey(service, owner, { scopes });
        const streams = await openAll(replica, protocol, secret);
        await way(owner, id);
        for (const each of streams) assert.ok(await each.reason);
      }
    });

    it(`S13 by ${protocol}: continues while nothing happens to it`, async () => {
      const who = await withRoles(service, 'user', 'admin');
      const streams = await openAll(service, protocol, who.accessToken);
      const { refreshToken } = await withRoles(service, 'user');
      await service.auth.logout({ refreshToken });
      const heard = streams.map((each) => each.heard);
      await eventually(() => streams.every((each, i) => each.heard > (heard[i] ?? 0) + 10));
    });
  }
});

describe('ExportUsers and ImportUsers', () => {
  it('S13 end when the account that exports is suspended', async () => {
    await sql(
      service.databaseUrl,
      `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
       select gen_random_uuid(), n || '@many.test', n || '@many.test', repeat('x', 100), 'active',
         '{user}', now(), now() from generate_series(1, ${USERS}) n`,
    );
    const who = await withRoles(service, 'user', 'admin');
    const users = who.admin.exportUsers({})[Symbol.asyncIterator]();
    assert.equal((await users.next()).done, false);
    await boss.admin.suspendUser({ userId: who.userId });
    let count = 1;
    const rest = async () => {
      while (!(await users.next()).done) count += 1;
    };
    assert.equal((await refusal(rest())).reason, 'TOKEN_REVOKED');
    assert.ok(count < USERS);
  });

  it('S13 end when the account that imports is suspended', async () => {
    const who = await withRoles(service, 'user', 'admin');
    async function* rows() {
      for (let i = 0; ; i += 1) {
        if (i === 1) await boss.admin.suspendUser({ userId: who.userId });
        const value = { email: `${i}@import-standing.test`, displayName: '' };
        yield { message: { case: 'user' as const, value } };
      }
    }
    const admin = service.client(AdminService, 'grpc', who.accessToken);
    const { reason } = await refusal(Array.fromAsync(admin.importUsers(rows())));
    assert.equal(reason, 'TOKEN_REVOKED');
  });
});
