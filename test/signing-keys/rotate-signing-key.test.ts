import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { decodeProtectedHeader } from 'jose';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { judge, publishedKeys } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { keyIn, keysIn, operator } from './operator.ts';

const MINUTE = 60_000;
const UNKNOWN = 'A'.repeat(43);
const RACERS = 16;

let service: Service;
let replica: Service;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
});

const kidOf = (token: string) => decodeProtectedHeader(token).kid;
const kidsOf = async (at: Service) => (await publishedKeys(at)).map(({ kid }) => kid);
const events = () =>
  sql<{ actor: string; ip_address: string; details: Record<string, unknown> }>(
    service.databaseUrl,
    `select actor, ip_address, details from audit_events where type = 'signing_key.rotated' order by id`,
  );

/** One story, told in order. */
describe('RotateSigningKey', () => {
  let first: string;
  let second: string;

  it('S12 is refused while caches of the key set may not have the next key', async () => {
    const admin = await operator(service);
    first = (await keyIn(admin, 'ACTIVE')).keyId;
    second = (await keyIn(admin, 'NEXT')).keyId;
    service.clock.advance(10 * MINUTE);
    const again = await operator(service);
    const refused = await refusal(again.rotateSigningKey({}));
    assert.deepEqual(
      [refused.code, refused.reason],
      [Code.FailedPrecondition, 'SIGNING_KEY_TOO_NEW'],
    );
    const { retryAfterMs = 0 } = refused;
    assert.ok(retryAfterMs > 8 * MINUTE && retryAfterMs <= 10 * MINUTE, `${retryAfterMs}`);
    assert.equal((await keyIn(again, 'ACTIVE')).keyId, first);
    assert.deepEqual(await events(), []);
  });

  it('S12 makes the next key sign, on every replica, and keeps the previous one', async () => {
    const { accessToken: old } = await signedIn(service);
    service.clock.advance(9 * MINUTE + 55_000);
    const { accessToken: older } = await signedIn(replica);
    service.clock.advance(5_000);
    const admin = await operator(service);
    const { activeKey, nextKey, rotated } = await admin.rotateSigningKey({ activeKeyId: first });
    assert.deepEqual([activeKey?.keyId, rotated], [second, true]);
    assert.ok(nextKey && ![first, second].includes(nextKey.keyId));
    assert.deepEqual(await kidsOf(service), [first, second, nextKey.keyId]);
    await eventually(async () => (await kidsOf(replica)).length === 3);
    for (const at of [service, replica]) {
      assert.equal(kidOf((await signedIn(at)).accessToken), second);
      assert.equal(await judge(at, older), 'accepted');
      assert.equal(await judge(at, old), 'TOKEN_EXPIRED');
      const { active } = await at.sessions.introspectToken({ token: admin.tokens.accessToken });
      assert.equal(active, true);
    }
    const retired = await keyIn(admin, 'RETIRED');
    assert.equal(retired.keyId, first);
    assert.ok(retired.retiredAt && retired.leavesJwksAt);
    assert.equal(timestampMs(retired.leavesJwksAt) - timestampMs(retired.retiredAt), 15 * MINUTE);
    const [event, ...more] = await events();
    assert.deepEqual([event?.actor, more], [admin.userId, []]);
    assert.deepEqual(event?.details, {
      retired_key_id: first,
      active_key_id: second,
      next_key_id: nextKey.keyId,
      force: false,
    });
  });

  it('S12 does nothing twice for a caller who names the key that it replaced', async () => {
    const admin = await operator(replica);
    const answer = await admin.rotateSigningKey({ activeKeyId: first, force: true });
    assert.deepEqual([answer.activeKey?.keyId, answer.rotated], [second, false]);
    assert.equal(answer.nextKey?.keyId, (await keyIn(admin, 'NEXT')).keyId);
    assert.equal((await events()).length, 1);
  });

  it('S12 rotates once for many calls at once, on two replicas, that name the same key', async () => {
    const [here, there] = [await operator(service), await operator(replica)];
    const [before_, activeKeyId] = [(await events()).length, (await keyIn(here, 'ACTIVE')).keyId];
    const answers = await Promise.all(
      Array.from({ length: RACERS }, (_, i) =>
        (i % 2 === 0 ? here : there).rotateSigningKey({ activeKeyId, force: true }),
      ),
    );
    assert.equal(answers.filter(({ rotated }) => rotated).length, 1);
    assert.equal(new Set(answers.map(({ activeKey }) => activeKey?.keyId)).size, 1);
    assert.equal((await events()).length, before_ + 1);
  });

  it('S12 rotates once for many calls at once that name none, and refuses the others', async () => {
    service.clock.advance(20 * MINUTE);
    const admins = [await operator(service), await operator(replica)] as const;
    const before_ = (await events()).length;
    const calls = Array.from({ length: RACERS }, (_, i) =>
      admins[i % 2 === 0 ? 0 : 1].rotateSigningKey({}),
    );
    const outcomes = await Promise.all(
      calls.map((call) =>
        call.then(
          () => 'rotated',
          () => refusal(call).then((r) => r.reason),
        ),
      ),
    );
    assert.equal(outcomes.filter((outcome) => outcome === 'rotated').length, 1);
    assert.equal(outcomes.filter((o) => o === 'SIGNING_KEY_TOO_NEW').length, RACERS - 1);
    assert.equal((await events()).length, before_ + 1);
    assert.equal((await keysIn(admins[0], 'ACTIVE')).length, 1);
    assert.equal((await keysIn(admins[0], 'NEXT')).length, 1);
  });

  it('rotates at once if it is forced to, and the audit trail says so', async () => {
    const admin = await operator(service);
    const { rotated } = await admin.rotateSigningKey({ force: true });
    assert.equal(rotated, true);
    assert.equal((await events()).at(-1)?.details['force'], true);
  });

  it('knows no key that was never active', async () => {
    const admin = await operator(service);
    const next = await keyIn(admin, 'NEXT');
    for (const activeKeyId of [UNKNOWN, next.keyId]) {
      const refused = await refusal(admin.rotateSigningKey({ activeKeyId, force: true }));
      assert.deepEqual([refused.code, refused.reason], [Code.NotFound, 'NOT_FOUND']);
    }
    const malformed = await refusal(admin.rotateSigningKey({ activeKeyId: 'x' }));
    assert.deepEqual(malformed.fields, ['active_key_id']);
  });

  it('asks for the permission, and for a recent sign-in', async () => {
    const { accessToken } = await signedIn(service);
    const client = service.client(AdminService, 'grpc', accessToken);
    const refused = await refusal(client.rotateSigningKey({ force: true }));
    assert.deepEqual(refused.metadata, { permission: 'signing_keys.write' });
    const admin = await operator(service);
    service.clock.advance(10 * MINUTE);
    const { tokens } = await service.auth.refreshToken({ refreshToken: admin.tokens.refreshToken });
    const later = service.client(AdminService, 'grpc', tokens?.accessToken);
    service.clock.advance(1000);
    const stale = await refusal(later.rotateSigningKey({ force: true }));
    assert.equal(stale.reason, 'REAUTHENTICATION_REQUIRED');
    assert.ok((await later.listSigningKeys({})).signingKeys.length > 1);
  });

  it('S12 drops the retired keys once their last tokens have expired', async () => {
    const admin = await operator(service);
    const { keyId } = await keyIn(admin, 'ACTIVE');
    const person = await signedIn(replica);
    await admin.rotateSigningKey({ activeKeyId: keyId, force: true });
    service.clock.advance(9 * MINUTE + 30_000);
    const { accessToken: late } = await signIn(replica, person.email);
    await startReplica(service);
    assert.equal(await judge(replica, person.accessToken), 'accepted');
    service.clock.advance(6 * MINUTE);
    const latest = await startReplica(service);
    assert.ok(!(await kidsOf(latest)).includes(keyId));
    assert.equal(await judge(latest, person.accessToken), 'TOKEN_INVALID');
    assert.equal(await judge(latest, late), 'accepted');
    assert.deepEqual(await keysIn(await operator(latest), 'RETIRED'), []);
  });
});
