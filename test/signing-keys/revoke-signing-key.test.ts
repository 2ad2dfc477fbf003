import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { decodeProtectedHeader } from 'jose';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { SigningKeyState } from '../../gen/countersign/v1/signing_key_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { PRIVATE_KEY_PURPOSE } from '../../src/signing-keys/generate-signing-key.ts';
import { Forger, judge, publishedKeys, testKeyring } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { type Reader, reader } from '../revocations/revocation-readers.ts';
import { keyIn, keysIn, operator } from './operator.ts';

const MINUTE = 60_000;
const YEARS = 10 * 365 * 86_400;
const UNKNOWN = 'A'.repeat(43);
const RACERS = 16;
const REASON = 'found in a public repository';

const kidOf = (token: string) => decodeProtectedHeader(token).kid;
const kidsOf = async (at: Service) => (await publishedKeys(at)).map(({ kid }) => kid);
const events = ({ databaseUrl }: Service) =>
  sql<{ actor: string; details: Record<string, unknown> }>(
    databaseUrl,
    `select actor, details from audit_events where type = 'signing_key.revoked' order by id`,
  );

/** One story, told in order: the key that signs has leaked, and its thief has signed a token with it. */
describe('RevokeSigningKey', () => {
  let service: Service;
  let replica: Service;
  let watching: Reader;
  let person: Tokens;
  let forger: Forger;
  /** Valid for ten years, if its signature were all that counts. */
  let forged: string;
  let keyId: string;
  let nextId: string;
  let admin: Awaited<ReturnType<typeof operator>>;

  before(async () => {
    service = await startService();
    replica = await startReplica(service);
    watching = await reader(replica);
    person = await signedIn(replica);
    forger = await Forger.of(service);
    forged = await forger.token({ exp: Number(forger.claims['exp']) + YEARS });
    admin = await operator(service);
    keyId = (await keyIn(admin, 'ACTIVE')).keyId;
    nextId = (await keyIn(admin, 'NEXT')).keyId;
    for (const at of [service, replica]) {
      for (const token of [person.accessToken, forged]) {
        assert.equal(await judge(at, token), 'accepted');
      }
    }
  });

  it('S12 replaces an active key by the next one, and removes it from the set', async () => {
    const { revokedKey, activeKey } = await admin.revokeSigningKey({ keyId, reason: REASON });
    assert.deepEqual(
      [revokedKey?.keyId, revokedKey?.state, revokedKey?.revocationReason, activeKey?.keyId],
      [keyId, SigningKeyState.REVOKED, REASON, nextId],
    );
    const published = await kidsOf(service);
    assert.ok(!published.includes(keyId) && published.includes(nextId));
    assert.equal(published.length, 2);
  });

  it('S09 S12 refuses every token of the key, seen before or not, on every replica', async () => {
    const unseen = await forger.token({ jti: 'unseen' });
    assert.equal(await judge(service, unseen), 'TOKEN_REVOKED');
    const { target, cause } = await watching.hears(keyId);
    assert.deepEqual(target, { case: 'signingKeyId', value: keyId });
    assert.equal(cause, 'signing_key_revoked');
    for (const at of [service, replica, await startReplica(service)]) {
      for (const token of [person.accessToken, forged, unseen]) {
        assert.equal(await judge(at, token), 'TOKEN_REVOKED');
      }
    }
    await eventually(async () => !(await kidsOf(replica)).includes(keyId));
  });

  it("S12 refuses the caller's own token, as it does all others", async () => {
    const refused = await refusal(admin.listSigningKeys({}));
    assert.deepEqual([refused.code, refused.reason], [Code.Unauthenticated, 'TOKEN_REVOKED']);
  });

  it('S12 ends no session: a refresh returns a token by the key that signs now', async () => {
    for (const { refreshToken, at } of [
      { refreshToken: admin.tokens.refreshToken, at: service },
      { refreshToken: person.refreshToken, at: replica },
    ]) {
      const { tokens } = await at.auth.refreshToken({ refreshToken });
      const token = tokens?.accessToken ?? '';
      assert.equal(kidOf(token), nextId);
      for (const { sessions } of [service, replica]) {
        assert.equal((await sessions.introspectToken({ token })).active, true);
      }
    }
  });

  it('S11 leaves nothing of the private half behind', async () => {
    const rows = await sql(service.databaseUrl, 'select 1 from signing_keys where id = $1', [
      keyId,
    ]);
    assert.deepEqual(rows, []);
    const columns = await sql<{ column_name: string }>(
      service.databaseUrl,
      `select column_name from information_schema.columns
       where table_name = 'revoked_signing_keys' and column_name like '%private%'`,
    );
    assert.deepEqual(columns, []);
  });

  it('E01 is recorded with who did it, and why', async () => {
    const [event, ...more] = await events(service);
    assert.deepEqual([event?.actor, more], [admin.userId, []]);
    assert.deepEqual(event?.details, {
      key_id: keyId,
      state: 'active',
      reason: REASON,
      active_key_id: nextId,
    });
  });

  it('is idempotent, and keeps the first reason', async () => {
    const again = await operator(replica);
    const { revokedKey, activeKey } = await again.revokeSigningKey({ keyId, reason: 'again' });
    assert.deepEqual([revokedKey?.revocationReason, activeKey?.keyId], [REASON, nextId]);
    assert.equal((await events(service)).length, 1);
    assert.equal((await keyIn(again, 'REVOKED')).keyId, keyId);
    // Late for a rotation, too.
    const { rotated } = await again.rotateSigningKey({ activeKeyId: keyId, force: true });
    assert.equal(rotated, false);
  });

  it('S12 still holds for a token that outlasts the revocation', async () => {
    service.clock.advance(40 * MINUTE);
    const reasons = new Set<string | undefined>();
    await eventually(async () => {
      const reason = await judge(service, forged);
      reasons.add(reason);
      return reason === 'TOKEN_INVALID';
    }, 15_000);
    assert.ok(!reasons.has('accepted'));
    assert.equal(await judge(await startReplica(service), forged), 'TOKEN_INVALID');
  });
});

describe('RevokeSigningKey, of keys that do not sign', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  it('S12 replaces the next key, and the active one keeps signing', async () => {
    const admin = await operator(service);
    const [active, next] = [await keyIn(admin, 'ACTIVE'), await keyIn(admin, 'NEXT')];
    const [row] = await sql<{ private_sealed: Buffer }>(
      service.databaseUrl,
      'select private_sealed from signing_keys where id = $1',
      [next.keyId],
    );
    const der = testKeyring().open(PRIVATE_KEY_PURPOSE, row?.private_sealed ?? Buffer.alloc(0));
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const forged = await (await Forger.of(service)).token({}, { kid: next.keyId }, key);
    assert.equal(await judge(service, forged), 'accepted');
    const answer = await admin.revokeSigningKey({ keyId: next.keyId, reason: REASON });
    assert.equal(answer.activeKey?.keyId, active.keyId);
    assert.equal(await judge(service, forged), 'TOKEN_REVOKED');
    const fresh = await keyIn(admin, 'NEXT');
    assert.notEqual(fresh.keyId, next.keyId);
    assert.deepEqual(await kidsOf(service), [active.keyId, fresh.keyId]);
  });

  it('S12 refuses the tokens of a retired key', async () => {
    const person = await signedIn(service);
    const admin = await operator(service);
    await admin.rotateSigningKey({ force: true });
    const retired = await keyIn(admin, 'RETIRED');
    assert.equal(await judge(service, person.accessToken), 'accepted');
    await admin.revokeSigningKey({ keyId: retired.keyId, reason: REASON });
    assert.equal(await judge(service, person.accessToken), 'TOKEN_REVOKED');
    const again = await operator(service);
    assert.deepEqual(await keysIn(again, 'RETIRED'), []);
    assert.equal((await keysIn(again, 'REVOKED')).length, 2);
  });

  it('makes one revocation of many calls at once, on two replicas', async () => {
    const replica = await startReplica(service);
    const admins = [await operator(service), await operator(replica)] as const;
    const before_ = (await events(service)).length;
    const { keyId } = await keyIn(admins[0], 'ACTIVE');
    const calls = Array.from({ length: RACERS }, (_, i) =>
      admins[i % 2 === 0 ? 0 : 1]
        .revokeSigningKey({ keyId, reason: REASON })
        .then(({ activeKey }) => activeKey?.keyId)
        // Their own token is by that key: who comes late may be refused for it.
        .catch((error) => (/revoked/.test(String(error)) ? undefined : Promise.reject(error))),
    );
    const active = new Set((await Promise.all(calls)).filter((id) => id !== undefined));
    assert.equal(active.size, 1);
    assert.equal((await events(service)).length, before_ + 1);
    const again = await operator(service);
    assert.ok(active.has((await keyIn(again, 'ACTIVE')).keyId));
    await keyIn(again, 'NEXT');
  });

  it('refuses an unknown key, and requires a reason', async () => {
    const admin = await operator(service);
    const { keyId } = await keyIn(admin, 'NEXT');
    const unknown = await refusal(admin.revokeSigningKey({ keyId: UNKNOWN, reason: REASON }));
    assert.deepEqual([unknown.code, unknown.reason], [Code.NotFound, 'NOT_FOUND']);
    const malformed = await refusal(admin.revokeSigningKey({ keyId: 'x', reason: REASON }));
    assert.deepEqual(malformed.fields, ['key_id']);
    const unexplained = await refusal(admin.revokeSigningKey({ keyId }));
    assert.deepEqual(unexplained.fields, ['reason']);
    assert.equal((await keyIn(admin, 'NEXT')).keyId, keyId);
  });

  it('asks for the permission, and for a recent sign-in', async () => {
    const admin = await operator(service);
    const { keyId } = await keyIn(admin, 'NEXT');
    const { accessToken } = await signedIn(service);
    const stranger = service.client(AdminService, 'grpc', accessToken);
    const refused = await refusal(stranger.revokeSigningKey({ keyId, reason: REASON }));
    assert.deepEqual(refused.metadata, { permission: 'signing_keys.write' });
    service.clock.advance(10 * MINUTE);
    const { tokens } = await service.auth.refreshToken({ refreshToken: admin.tokens.refreshToken });
    service.clock.advance(1000);
    const later = service.client(AdminService, 'grpc', tokens?.accessToken);
    const stale = await refusal(later.revokeSigningKey({ keyId, reason: REASON }));
    assert.equal(stale.reason, 'REAUTHENTICATION_REQUIRED');
    assert.equal((await keyIn(later, 'NEXT')).keyId, keyId);
  });
});

for (const [name, env] of [
  ['with Redis', {}],
  ['without Redis', { REDIS_URL: '' }],
] as const) {
  describe(`RevokeSigningKey under load, ${name}`, () => {
    it('S09 S12 fails no refresh, and from the second after it no new token is refused', async () => {
      const first = await startService({ env });
      const replicas = [first, await startReplica(first)] as const;
      const admin = await operator(first);
      const { keyId } = await keyIn(admin, 'ACTIVE');
      let stage: 'before' | 'during' | 'after' = 'before';
      let running = true;
      const wrong: string[] = [];
      const seen = { before: 0, during: 0, after: 0 };

      const work = async (): Promise<void> => {
        let { refreshToken } = await signedIn(first);
        for (let i = 0; running; i += 1) {
          const began = stage;
          const { tokens } = await replicas[i % 2 === 0 ? 0 : 1].auth.refreshToken({
            refreshToken,
          });
          const token = tokens?.accessToken ?? '';
          refreshToken = tokens?.refreshToken ?? '';
          for (const { sessions } of replicas) {
            const { active } = await sessions.introspectToken({ token });
            if (began !== stage) continue;
            if (stage === 'before' && !active) wrong.push('refused before');
            if (stage === 'after' && !active) wrong.push(`refused after, by ${kidOf(token)}`);
            if (stage === 'after' && kidOf(token) === keyId) wrong.push('signed after');
          }
          seen[began] += 1;
        }
      };

      const workers = Array.from({ length: 6 }, () => work());
      await eventually(() => seen.before > 50, 15_000);
      stage = 'during';
      await admin.revokeSigningKey({ keyId, reason: REASON });
      const old = (at: Service) => at.sessions.introspectToken({ token: admin.tokens.accessToken });
      assert.equal((await old(first)).active, false);
      await eventually(async () => !(await old(replicas[1])).active);
      await eventually(async () => !(await kidsOf(replicas[1])).includes(keyId));
      stage = 'after';
      await eventually(() => seen.after > 50, 15_000);
      running = false;
      await Promise.all(workers);
      assert.deepEqual(wrong, []);
    });
  });
}
