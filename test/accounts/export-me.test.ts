import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { withRoles } from '../administrators.ts';
import { sql } from '../harness/database.ts';
import { accountOf, signedIn, signIn, signUp, userIdOf } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('ExportMe', () => {
  it('C13 gives the owner everything stored about them, and no secret', async () => {
    const who = await signedIn(service, signUp);
    const { email, accessToken, refreshToken, sessionId } = who;
    const account = accountOf(service, who);
    const { json } = await account.exportMe({});
    const held = JSON.parse(json);
    assert.equal(held.user.email, email);
    assert.equal(held.sessions[0].session_id, sessionId);
    assert.equal(held.sessions[0].ip_address, '127.0.0.1');
    assert.deepEqual(held.passkeys, []);
    const types = held.audit_events.map((event: { type: string }) => event.type);
    assert.ok(types.includes('account.created') && types.includes('session.created'));
    for (const secret of [accessToken, refreshToken, 'argon2', 'hash', 'sealed']) {
      assert.equal(json.includes(secret), false, secret);
    }
  });

  it('C13 leaves out where administrators were, and what they noted', async () => {
    const who = await signedIn(service);
    const userId = userIdOf(who);
    const { admin } = await withRoles(service, 'user', 'admin');
    await sql(
      service.databaseUrl,
      `insert into audit_events (id, occurred_at, type, actor, actor_type, subject, outcome, ip_address,
         request_id, details)
       values (gen_random_uuid(), now(), 'role.granted', gen_random_uuid(), 'user', $1, 'success',
         '192.0.2.7', 'x', '{}')`,
      [userId],
    );
    await admin.suspendUser({ userId, reason: 'Kim of billing says so' });
    await admin.reinstateUser({ userId });
    await admin.updateUser({ user: { userId, displayName: 'Patricia' } });
    const account = accountOf(service, await signIn(service, who.email));
    const { json } = await account.exportMe({});
    const { audit_events: events } = JSON.parse(json);
    const of = (type: string) => events.find((event: { type: string }) => event.type === type);
    assert.equal(of('account.suspended').personal, null);
    assert.equal(of('account.suspended').ip_address, null);
    assert.equal(of('session.created').ip_address, '127.0.0.1');
    assert.equal(of('account.updated').personal.after.display_name, 'Patricia');
    assert.doesNotMatch(json, /192\.0\.2\.7|billing/);
  });
});
