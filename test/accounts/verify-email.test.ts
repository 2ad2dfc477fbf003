import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { tablesWith } from '../database-search.ts';
import { sql } from '../harness/database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { newEmail, PASSWORD, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';

describe('VerifyEmail', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
    replica = await startReplica(service);
  });

  /** Signs a new person up, and returns the token of their mail. */
  async function signUp(): Promise<{ email: string; token: string }> {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
    return { email, token: tokenIn(await service.mail.next(email, /Confirm/)) ?? '' };
  }

  const refused = (token: string) => refusal(service.auth.verifyEmail({ token }));

  it('marks the address as verified, so that its owner can sign in', async () => {
    const { email, token } = await signUp();
    assert.equal((await refusal(signIn(service, email))).reason, 'EMAIL_NOT_VERIFIED');
    await service.auth.verifyEmail({ token });
    const { accessToken } = await signIn(service, email);
    const { principal } = await service.sessions.introspectToken({ token: accessToken });
    assert.equal(principal?.emailVerified, true);
    const events = await sql(
      service.databaseUrl,
      `select e.actor = a.id as own from audit_events e join accounts a on a.id = e.subject
       where a.email = $1 and e.type = 'account.email_verified'`,
      [email],
    );
    assert.deepEqual(events, [{ own: true }]);
  });

  it('C06 lets exactly one of 64 racers on two replicas succeed', async () => {
    const { email, token } = await signUp();
    const racers = Array.from({ length: 64 }, (_, i) =>
      (i % 2 ? service : replica).auth.verifyEmail({ token }).then(
        () => 'verified',
        (error) => refusal(Promise.reject(error)).then(({ reason }) => reason),
      ),
    );
    const outcomes = (await Promise.all(racers)).sort();
    assert.deepEqual(outcomes, [...Array(63).fill('TOKEN_INVALID'), 'verified']);
    const events = await sql(
      service.databaseUrl,
      `select e.id from audit_events e join accounts a on a.id = e.subject
       where a.email = $1 and e.type = 'account.email_verified'`,
      [email],
    );
    assert.equal(events.length, 1);
  });

  it('C06 refuses a token that was used', async () => {
    const { token } = await signUp();
    await service.auth.verifyEmail({ token });
    const again = await refused(token);
    assert.equal(again.code, Code.InvalidArgument);
    assert.equal(again.reason, 'TOKEN_INVALID');
    assert.deepEqual(again.fields, ['token']);
  });

  it('C06 accepts a token for 10 minutes, and no longer', async () => {
    const inTime = await signUp();
    const late = await signUp();
    service.clock.advance(9 * 60_000 + 50_000);
    await service.auth.verifyEmail({ token: inTime.token });
    service.clock.advance(10_000);
    const expired = await refused(late.token);
    assert.equal(expired.code, Code.FailedPrecondition);
    assert.equal(expired.reason, 'TOKEN_EXPIRED');
  });

  it('C06 keeps a token of 256 bits as a keyed hash, and nothing of it anywhere else', async () => {
    const { email, token } = await signUp();
    const [, secret = ''] = token.split('.');
    assert.equal(Buffer.from(secret, 'base64url').length, 32);
    assert.deepEqual(await tablesWith(service.databaseUrl, token), []);
    assert.deepEqual(await tablesWith(service.databaseUrl, secret), []);
    // Shows that the search would find it, and that the queue holds no address either.
    assert.deepEqual(await tablesWith(service.databaseUrl, email), ['public.accounts']);
    const jobs = await sql(service.databaseUrl, `select id from jobs.job where name = 'mail'`);
    assert.ok(jobs.length > 0);
  });

  it('C06 says only TOKEN_INVALID about anything that is not a verification token', async () => {
    const [one, two, session] = [await signUp(), await signUp(), await signedIn(service)];
    const [oneId, oneSecret = ''] = one.token.split('.');
    const [twoId] = two.token.split('.');
    const guesses = [
      session.refreshToken,
      session.accessToken.slice(0, 500),
      'garbage',
      'csm_',
      'csm_.',
      `${twoId}.${oneSecret}`,
      one.token.slice(0, -1),
      `${one.token}A`,
      `${one.token}.junk`,
      `${oneId}.${oneSecret.toUpperCase()}`,
      one.token.replace('csm_', 'csr_'),
      ` ${one.token}`,
      'csm_AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    ];
    for (const guess of guesses) {
      const answer = await refused(guess);
      assert.deepEqual(
        [answer.code, answer.reason],
        [Code.InvalidArgument, 'TOKEN_INVALID'],
        guess,
      );
    }
    await service.auth.verifyEmail({ token: one.token });
  });

  it('asks for a token', async () => {
    assert.equal((await refused('')).reason, 'INVALID_REQUEST');
    assert.equal((await refused('x'.repeat(513))).reason, 'INVALID_REQUEST');
  });

  it('refuses the token of an account that is gone', async () => {
    const { email, token } = await signUp();
    await sql(service.databaseUrl, `update accounts set state = 'deleted' where email = $1`, [
      email,
    ]);
    assert.equal((await refused(token)).reason, 'TOKEN_INVALID');
  });

  it('either verifies the old sign-up or keeps the new one, if both come at once', async () => {
    // If signing in needs no verified address, a sign-up is settled in the call.
    const env = { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' };
    const direct = await startReplica(replica, { env });
    const meet = async () => {
      const { email, token } = await signUp();
      const newer = { email, password: `${PASSWORD} again`, displayName: 'Newer' };
      const [verified, signedUp] = await Promise.allSettled([
        service.auth.verifyEmail({ token }),
        direct.auth.signUp(newer),
      ]);
      assert.equal(signedUp.status, 'fulfilled');
      const [row] = await sql<{ verified: boolean; name: string }>(
        service.databaseUrl,
        `select email_verified_at is not null as verified, display_name as name
         from accounts where email = $1`,
        [email],
      );
      const wasVerified = verified.status === 'fulfilled';
      assert.deepEqual(row, { verified: wasVerified, name: wasVerified ? 'Pat' : 'Newer' });
    };
    await Promise.all(Array.from({ length: 10 }, meet));
  });
});
