import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';
import { rotatedEarlier } from './rotated-earlier.ts';

describe('RefreshToken', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
    replica = await startReplica(service);
  });

  it('returns a new pair of tokens', async () => {
    const first = await signedIn(service);
    const { tokens } = await service.auth.refreshToken({ refreshToken: first.refreshToken });
    assert.notEqual(tokens?.refreshToken, first.refreshToken);
    assert.equal(tokens?.sessionId, first.sessionId);
    assert.equal(tokens?.tokenType, 'Bearer');
  });

  it('S05 gives 64 racers on two replicas the same successor', async () => {
    const first = await signedIn(service);
    const racers = Array.from({ length: 64 }, (_, i) =>
      (i % 2 ? service : replica).auth.refreshToken({ refreshToken: first.refreshToken }),
    );
    const answers = await Promise.all(racers);
    const successors = new Set(answers.map(({ tokens }) => tokens?.refreshToken));
    assert.equal(successors.size, 1);
    const [successor = ''] = successors;
    const next = await service.auth.refreshToken({ refreshToken: successor });
    assert.notEqual(next.tokens?.refreshToken, successor);
  });

  it('S06 returns the identical successor to a client that lost the answer', async () => {
    const first = await signedIn(service);
    const once = await service.auth.refreshToken({ refreshToken: first.refreshToken });
    const again = await replica.auth.refreshToken({ refreshToken: first.refreshToken });
    assert.equal(again.tokens?.refreshToken, once.tokens?.refreshToken);
  });

  it('S07 ends the session when a token comes back after the grace time', async () => {
    const first = await signedIn(service);
    const second = await service.auth.refreshToken({ refreshToken: first.refreshToken });
    await rotatedEarlier(service, first.sessionId, '1 hour');
    const thief = await refusal(replica.auth.refreshToken({ refreshToken: first.refreshToken }));
    assert.equal(thief.code, Code.Unauthenticated);
    assert.equal(thief.reason, 'REFRESH_TOKEN_REUSED');
    const owner = await refusal(
      service.auth.refreshToken({ refreshToken: second.tokens?.refreshToken ?? '' }),
    );
    assert.equal(owner.reason, 'TOKEN_REVOKED');
    await eventually(async () => {
      const token = second.tokens?.accessToken ?? '';
      const here = await service.sessions.introspectToken({ token });
      const there = await replica.sessions.introspectToken({ token });
      return !here.active && !there.active;
    });
    const events = await sql(
      service.databaseUrl,
      `select type from audit_events where type = 'session.refresh_token_reused' and details->>'session_id' = $1`,
      [first.sessionId],
    );
    assert.equal(events.length, 1);
    await service.mail.next(first.email, /ended one of your sessions/);
  });

  it('S07 ends the session when a token comes back whose successor was used', async () => {
    const first = await signedIn(service);
    const second = await service.auth.refreshToken({ refreshToken: first.refreshToken });
    await service.auth.refreshToken({ refreshToken: second.tokens?.refreshToken ?? '' });
    const thief = await refusal(service.auth.refreshToken({ refreshToken: first.refreshToken }));
    assert.equal(thief.reason, 'REFRESH_TOKEN_REUSED');
  });

  it('S08 grants the permissions of this moment, never those of the sign-in', async () => {
    const first = await signedIn(service);
    await sql(service.databaseUrl, `update accounts set roles = '{admin}' where email = $1`, [
      first.email,
    ]);
    const raised = await service.auth.refreshToken({ refreshToken: first.refreshToken });
    const asAdmin = await service.sessions.introspectToken({
      token: raised.tokens?.accessToken ?? '',
    });
    assert.ok(asAdmin.principal?.permissions.includes('users.read'));
    await sql(service.databaseUrl, `update accounts set roles = '{user}' where email = $1`, [
      first.email,
    ]);
    const lowered = await service.auth.refreshToken({
      refreshToken: raised.tokens?.refreshToken ?? '',
    });
    const asUser = await service.sessions.introspectToken({
      token: lowered.tokens?.accessToken ?? '',
    });
    assert.deepEqual(asUser.principal?.permissions, []);
  });

  it('S08 refuses a session that was idle for too long', async () => {
    const first = await signedIn(service);
    service.clock.advance(14 * 24 * 3600_000 + 1000);
    const refused = await refusal(service.auth.refreshToken({ refreshToken: first.refreshToken }));
    assert.equal(refused.code, Code.Unauthenticated);
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });

  it('S08 refuses a session at its absolute end, however often it was refreshed', async () => {
    let { refreshToken } = await signedIn(service);
    for (let day = 0; day < 30; day += 10) {
      const { tokens } = await service.auth.refreshToken({ refreshToken });
      assert.ok(tokens);
      refreshToken = tokens.refreshToken;
      service.clock.advance(10 * 24 * 3600_000);
    }
    const refused = await refusal(service.auth.refreshToken({ refreshToken }));
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });

  it('refuses the token of a suspended account', async () => {
    const first = await signedIn(service);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      first.email,
    ]);
    const refused = await refusal(service.auth.refreshToken({ refreshToken: first.refreshToken }));
    assert.equal(refused.reason, 'TOKEN_REVOKED');
  });

  it('refuses tokens that it never issued, without asking the database', async () => {
    const { refreshToken, accessToken } = await signedIn(service);
    const last = refreshToken.at(-1) === 'A' ? 'B' : 'A';
    const guesses = [
      'csr_',
      'junk',
      accessToken.slice(0, 500),
      `${refreshToken.slice(0, -1)}${last}`,
      refreshToken.replace('csr_', 'csk_'),
      `${refreshToken}A`,
    ];
    for (const guess of guesses) {
      const refused = await refusal(service.auth.refreshToken({ refreshToken: guess }));
      assert.equal(refused.reason, 'TOKEN_INVALID', guess.slice(0, 10));
      assert.equal(refused.code, Code.Unauthenticated);
    }
  });
});
