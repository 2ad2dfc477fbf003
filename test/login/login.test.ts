import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { createAccount, newEmail, PASSWORD, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';

describe('Login', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
  });

  type Event = { outcome: string; reason: string | null; subject: string | null; ip: string };

  const eventsOf = (email: string, type: string) =>
    sql<Event>(
      service.databaseUrl,
      `select e.outcome, e.reason, e.ip_address as ip from audit_events e
       join accounts a on a.id = e.subject where a.email = $1 and e.type = $2`,
      [email, type],
    );

  const setState = (email: string, state: string) =>
    sql(service.databaseUrl, 'update accounts set state = $2 where email = $1', [email, state]);

  it('opens a session and returns its tokens', async () => {
    const email = await createAccount(service);
    const tokens = await signIn(service, email);
    assert.equal(tokens.tokenType, 'Bearer');
    assert.match(tokens.refreshToken, /^csr_/);
    const now = service.clock.now().getTime() / 1000;
    assert.ok(Math.abs(Number(tokens.expiresAt?.seconds) - now - 600) < 10);
    assert.ok(Math.abs(Number(tokens.refreshExpiresAt?.seconds) - now - 14 * 86_400) < 10);
    const [session] = await sql<{ device_label: string; amr: string[]; ip_address: string }>(
      service.databaseUrl,
      'select device_label, amr, ip_address from sessions where id = $1',
      [tokens.sessionId],
    );
    assert.deepEqual(session, { device_label: 'test', amr: ['pwd'], ip_address: '127.0.0.1' });
  });

  it('refuses a wrong password and an unknown address in the same words', async () => {
    const email = await createAccount(service);
    const wrong = await refusal(signIn(service, email, `${PASSWORD}!`));
    const unknown = await refusal(signIn(service, newEmail(), PASSWORD));
    assert.equal(wrong.code, Code.Unauthenticated);
    assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
    assert.deepEqual({ ...wrong, requestId: '' }, { ...unknown, requestId: '' });
  });

  it('says that the address is unverified only to a caller with the correct password', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: '' });
    const token = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    const right = await refusal(signIn(service, email));
    assert.equal(right.code, Code.FailedPrecondition);
    assert.equal(right.reason, 'EMAIL_NOT_VERIFIED');
    const wrong = await refusal(signIn(service, email, `${PASSWORD}!`));
    assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
    await service.auth.verifyEmail({ token });
    await signIn(service, email);
  });

  it('says that the account is suspended only to a caller with the correct password', async () => {
    const email = await createAccount(service);
    await setState(email, 'suspended');
    const right = await refusal(signIn(service, email));
    assert.equal(right.code, Code.PermissionDenied);
    assert.equal(right.reason, 'ACCOUNT_SUSPENDED');
    const wrong = await refusal(signIn(service, email, `${PASSWORD}!`));
    assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
  });

  it('does not know a deleted account, and lets its address sign up again', async () => {
    const email = await createAccount(service);
    await setState(email, 'deleted');
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    await service.auth.signUp({ email, password: `${PASSWORD} 2`, displayName: '' });
    await service.mail.next(email, /Confirm/);
    const anew = await refusal(signIn(service, email, `${PASSWORD} 2`));
    assert.equal(anew.reason, 'EMAIL_NOT_VERIFIED');
  });

  it('refuses a password of 10 MB without reading it to its end', async () => {
    const email = await createAccount(service);
    const refused = await refusal(signIn(service, email, 'x'.repeat(10_000_000)));
    assert.equal(refused.code, Code.ResourceExhausted);
    assert.equal(refused.reason, 'REQUEST_TOO_LARGE');
  });

  it('refuses a password of more than 4096 bytes as the fault of the request', async () => {
    const refused = await refusal(signIn(service, newEmail(), 'x'.repeat(4097)));
    assert.equal(refused.reason, 'INVALID_REQUEST');
    assert.deepEqual(refused.fields, ['password']);
    const longest = await refusal(signIn(service, newEmail(), 'x'.repeat(4096)));
    assert.equal(longest.reason, 'INVALID_CREDENTIALS');
  });

  it('refuses a device label that the database cannot hold as the fault of the request', async () => {
    const email = await createAccount(service);
    const label = { email, password: PASSWORD, deviceLabel: 'phone\u0000' };
    assert.deepEqual((await refusal(service.auth.login(label))).fields, ['device_label']);
  });

  it('E01 writes the event of a sign-in with its session', async () => {
    const email = await createAccount(service);
    const { sessionId } = await signIn(service, email);
    // No waiting: the answer came after the commit. One transaction wrote both rows.
    const rows = await sql<{ together: boolean; ip: string }>(
      service.databaseUrl,
      `select e.xmin::text = s.xmin::text as together, e.ip_address as ip from audit_events e
       join sessions s on s.id::text = e.details->>'session_id'
       where e.type = 'session.created' and s.id = $1 and e.subject = s.account_id`,
      [sessionId],
    );
    assert.deepEqual(rows, [{ together: true, ip: '127.0.0.1' }]);
  });

  it('writes the event of a refusal afterwards, with its reason', async () => {
    const email = await createAccount(service);
    await refusal(signIn(service, email, `${PASSWORD}!`));
    await eventually(async () => (await eventsOf(email, 'sign_in.failed')).length === 1);
    assert.deepEqual(await eventsOf(email, 'sign_in.failed'), [
      { outcome: 'failure', reason: 'INVALID_CREDENTIALS', ip: '127.0.0.1' },
    ]);
    assert.deepEqual(await eventsOf(email, 'session.created'), []);
  });

  it('writes the events of refusals that wait when the replica stops', async () => {
    const email = await createAccount(service);
    const replica = await startReplica(service);
    await Promise.all(
      Array.from({ length: 20 }, () => refusal(signIn(replica, email, `${PASSWORD}!`))),
    );
    await replica.app.stop();
    assert.equal((await eventsOf(email, 'sign_in.failed')).length, 20);
  });

  it('leaves a session and its event, or neither, if the caller goes away', async () => {
    const email = await createAccount(service);
    const calls = Array.from({ length: 40 }, (_, i) =>
      service.auth.login(
        { email, password: PASSWORD, deviceLabel: '' },
        { signal: AbortSignal.timeout(1 + i * 5) },
      ),
    );
    const results = await Promise.allSettled(calls);
    assert.ok(results.some(({ status }) => status === 'rejected'));
    const [counts] = await sql<{ sessions: number; events: number }>(
      service.databaseUrl,
      `select (select count(*)::int from sessions where account_id = a.id) as sessions,
         (select count(*)::int from audit_events where subject = a.id and type = 'session.created')
         as events from accounts a where email = $1`,
      [email],
    );
    assert.equal(counts?.sessions, counts?.events);
  });
});

describe('Login, if it needs no verified address', () => {
  it('opens a session, whose token says that the address is unverified', async () => {
    const service = await startService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: '' });
    const { accessToken } = await signIn(service, email);
    const { active, principal } = await service.sessions.introspectToken({ token: accessToken });
    assert.equal(active, true);
    assert.equal(principal?.emailVerified, false);
  });
});
