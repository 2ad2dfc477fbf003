import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { accountOf, signedIn, signUp } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('ExportMe', () => {
  it('C13 gives the owner what is held on them, and no secret', async () => {
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
});
