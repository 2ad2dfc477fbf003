import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { ApiKeyReason as Reason } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { ApiKeyReason, ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { MAX_TRANSACTION_MS } from '../../src/platform/sql-database.ts';
import { openDatabase } from '../../src/schema.ts';
import { user } from '../access/shop.ts';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { newKey, verify } from '../api-keys/keys.ts';
import { atEnd } from '../harness/at-end.ts';
import { runCommand } from '../harness/command.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn, signIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { type Reader, reader, revoke } from './revocation-readers.ts';

/** How long a command may take from the stamp of what it writes to its commit. */
const LATE = '55 seconds';

const isActive = async (at: Service, token: string) =>
  (await at.sessions.introspectToken({ token })).active;

describe('A revocation that commits long after its time stamp', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  it('S09 is heard by a replica that followed the table all along', async () => {
    const { accessToken, sessionId } = await signedIn(service);
    assert.equal(await isActive(service, accessToken), true);
    await revoke(service, 'session', sessionId, { ago: LATE });
    await eventually(async () => !(await isActive(service, accessToken)));
  });

  it('S09 of an API key is heard, too', async () => {
    const owner = await signedIn(service);
    const { id, secret } = await newKey(service, owner);
    assert.equal((await verify(service, secret)).valid, true);
    await sql(
      service.databaseUrl,
      `update api_keys set revoked_at = now(), version = version + 1,
         changed_at = clock_timestamp() - $2::interval where id = $1`,
      [id, LATE],
    );
    const reason = async (): Promise<Reason> => (await verify(service, secret)).reason;
    await eventually(async () => (await reason()) === ApiKeyReason.REVOKED);
  });

  it('S09 is told to a reader who left with a cursor in between and comes back', async () => {
    const { cursor } = await reader(service);
    const { sessionId } = await signedIn(service);
    await revoke(service, 'session', sessionId, { ago: LATE });
    await (await reader(service, { cursor })).hears(sessionId);
  });

  it('S09 is no later than followers look back: no program waits longer, whatever is configured', async () => {
    const env = { ...service.env, COUNTERSIGN_DB_STATEMENT_TIMEOUT: '10m' };
    const database = await openDatabase(
      readConfig(env, () => ''),
      createLog('silent'),
    );
    atEnd(() => database.close());
    assert.equal(database.limitMs, MAX_TRANSACTION_MS);
  });
});

describe('A revocation that is repeated', () => {
  let service: Service;
  let admin: Administrator;
  let readers: Reader[];

  before(async () => {
    service = await startService();
    admin = await withRoles(service, 'user', 'admin');
    readers = [await reader(service), await reader(await startReplica(service))];
  });

  /** Does something twice: the second time it is announced again, and no event is recorded. */
  async function assertRepeated(subject: string, id: string, call: () => Promise<unknown>) {
    const heard = (each: Reader) =>
      each.revocations.filter(({ target }) =>
        target.case === 'subject' ? target.value.subject === id : target.value === id,
      );
    await call();
    for (const each of readers) await each.hears(id);
    const events = await eventsOf(service, subject);
    await sql(
      service.databaseUrl,
      `update revocations set created_at = created_at - interval '1 minute' where target = $1`,
      [id],
    );
    const before = readers.map((each) => heard(each).length);
    await call();
    for (const [i, each] of readers.entries()) {
      await eventually(() => heard(each).length > (before[i] ?? 0));
      const [first, last] = [heard(each).at(0), heard(each).at(-1)];
      assert.deepEqual(last, first);
    }
    assert.equal((await eventsOf(service, subject)).length, events.length);
  }

  it('S09 is announced again: Logout, RevokeSession, RevokeOtherSessions, RevokeUserSessions', async () => {
    const one = await signedIn(service);
    const { refreshToken } = one;
    const { userId } = await idsOf(one.sessionId);
    await assertRepeated(userId, one.sessionId, () => service.auth.logout({ refreshToken }));
    const two = await withRoles(service, 'user');
    const sessions = service.client(SessionService, 'grpc', admin.accessToken);
    await assertRepeated(two.userId, two.sessionId, () =>
      sessions.revokeSession({ sessionId: two.sessionId }),
    );
    const three = await withRoles(service, 'user');
    await assertRepeated(three.userId, three.sessionId, () =>
      admin.admin.revokeUserSessions({ userId: three.userId }),
    );
    const four = await withRoles(service, 'user');
    const again = await signIn(service, four.email);
    const own = service.client(SessionService, 'grpc', again.accessToken);
    await assertRepeated(four.userId, four.sessionId, () => own.revokeOtherSessions({}));
  });

  it('S09 is announced again: SuspendUser, RevokeRole, RevokeApiKey, the command', async () => {
    const one = await withRoles(service, 'user');
    await assertRepeated(one.userId, one.userId, () =>
      admin.admin.suspendUser({ userId: one.userId }),
    );
    const two = await withRoles(service, 'user', 'support');
    const role = { holder: user(two.userId), role: 'support' };
    await assertRepeated(two.userId, two.userId, () => admin.admin.revokeRole(role));
    const three = await withRoles(service, 'user');
    const keys = service.client(ApiKeyService, 'grpc', three.accessToken);
    const { id } = await newKey(service, three);
    await assertRepeated(three.userId, id, () => keys.revokeApiKey({ apiKeyId: id }));
    const other = await newKey(service, three);
    await assertRepeated(three.userId, other.id, () =>
      runCommand(['apikeys', 'revoke', other.id], service.env),
    );
  });

  it('W01 is announced ever more rarely, however often it is repeated', async () => {
    const own = await withRoles(service, 'user');
    const revoked = [await signIn(service, own.email), await signIn(service, own.email)];
    const sessions = service.client(SessionService, 'grpc', own.accessToken);
    const ids = revoked.map(({ sessionId }) => sessionId);
    const repeats = 30;
    for (let i = 0; i <= repeats; i += 1) {
      await sessions.revokeOtherSessions({});
      await sql(
        service.databaseUrl,
        `update revocations set created_at = created_at - interval '2 seconds'
         where target = any($1)`,
        [ids],
      );
    }
    const rows = await sql(service.databaseUrl, 'select from revocations where target = any($1)', [
      ids,
    ]);
    assert.ok(rows.length > 2 * ids.length);
    // Once, and again after 2, 4, 8, 16, 32 and perhaps 64 seconds.
    assert.ok(rows.length <= 7 * ids.length, String(rows.length));
  });

  async function idsOf(sessionId: string): Promise<{ userId: string }> {
    const [row] = await sql<{ userId: string }>(
      service.databaseUrl,
      'select account_id as "userId" from sessions where id = $1',
      [sessionId],
    );
    assert.ok(row);
    return row;
  }
});
