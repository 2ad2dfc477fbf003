import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { errandsRun, mailsHaveGone } from '../harness/errands.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  createAccount,
  isActive,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';
import { reset } from '../passwords/reset.ts';

const OTHER_PASSWORD = 'another horse battery staple';

describe('SignUp', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
    replica = await startReplica(service);
  });

  const signUp = (email: string, password = PASSWORD, displayName = 'Pat') =>
    service.auth.signUp({ email, password, displayName });

  const accountsOf = (email: string) =>
    sql<{ id: string; email: string; display_name: string; email_verified_at: Date | null }>(
      service.databaseUrl,
      'select * from accounts where canonical_email = lower($1)',
      [email],
    );

  const liveTokensOf = (email: string) =>
    sql<{ purpose: string }>(
      service.databaseUrl,
      `select distinct purpose from mailed_tokens t join accounts a on a.id = t.account_id
       where a.canonical_email = lower($1) and t.used_at is null`,
      [email],
    );

  it('creates an account that waits for its address to be verified', async () => {
    const email = newEmail();
    await signUp(email);
    const mail = await service.mail.next(email, /Confirm your address/);
    assert.ok(tokenIn(mail));
    const [account] = await accountsOf(email);
    assert.equal(account?.email_verified_at, null);
    const events = await sql(
      service.databaseUrl,
      `select outcome from audit_events where type = 'account.created' and subject = $1`,
      [account?.id],
    );
    assert.deepEqual(events, [{ outcome: 'success' }]);
  });

  it('answers the same for a taken address, and tells its owner by mail', async () => {
    const taken = await createAccount(service);
    const free = await signUp(newEmail());
    assert.deepEqual(await signUp(taken, OTHER_PASSWORD, 'Mallory'), free);
    const mail = await service.mail.next(taken, /You already have an account/);
    assert.equal(tokenIn(mail), undefined);
    assert.doesNotMatch(mail.raw, /Mallory/);
    await signIn(service, taken);
    const wrong = await refusal(signIn(service, taken, OTHER_PASSWORD));
    assert.equal(wrong.reason, 'INVALID_CREDENTIALS');
    assert.equal((await accountsOf(taken))[0]?.display_name, 'Pat');
  });

  it('tells the owner of a suspended account the same, and changes nothing', async () => {
    const email = await createAccount(service);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      email,
    ]);
    await signUp(email, OTHER_PASSWORD);
    await service.mail.next(email, /You already have an account/);
    const still = await refusal(signIn(service, email));
    assert.equal(still.reason, 'ACCOUNT_SUSPENDED');
  });

  it('C15 confirms neither password of two sign-ups, and mails a link to choose one', async () => {
    const email = newEmail();
    await signUp(email, PASSWORD, 'First');
    const first = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    await signUp(email, OTHER_PASSWORD, 'Second');
    const second = tokenIn(await service.mail.next(email, /choose a password/)) ?? '';

    for (const token of [first, second]) {
      const refused = await refusal(service.auth.verifyEmail({ token }));
      assert.equal(refused.reason, 'TOKEN_INVALID');
    }
    await reset(service, second);
    for (const password of [PASSWORD, OTHER_PASSWORD]) {
      const refused = await refusal(signIn(service, email, password));
      assert.equal(refused.reason, 'INVALID_CREDENTIALS');
    }
    await signIn(service, email, NEW_PASSWORD);
    assert.equal((await accountsOf(email))[0]?.display_name, 'Second');
  });

  it('treats spellings that differ in case as one address', async () => {
    const email = newEmail();
    const typed = email.replace('person', 'PERSON');
    await signUp(typed);
    const token = tokenIn(await service.mail.next(typed, /Confirm/)) ?? '';
    await service.auth.verifyEmail({ token });
    await signUp(email.replace('example', 'EXAMPLE'), OTHER_PASSWORD);
    await service.mail.next(typed, /You already have an account/);
    assert.equal((await accountsOf(email)).length, 1);
    await signIn(service, email.replace('person', 'PerSon'));
  });

  it('creates one account for two sign-ups at once, with links that confirm no password', async () => {
    for (let round = 0; round < 4; round += 1) {
      const email = newEmail();
      const racers = [service, replica, service, replica].map(({ auth }, i) =>
        auth.signUp({ email, password: `${PASSWORD} ${i}`, displayName: '' }),
      );
      await Promise.all(racers);
      await errandsRun(service);
      assert.equal((await accountsOf(email)).length, 1);
      assert.deepEqual(await liveTokensOf(email), [{ purpose: 'reset_password' }]);
    }
  });

  it('C16 tells the owner of a taken address five times at once, however often it is tried', async () => {
    const taken = await createAccount(service);
    for (let i = 0; i < 8; i += 1) await signUp(taken, OTHER_PASSWORD);
    await errandsRun(service);
    await mailsHaveGone(service);
    assert.equal(service.mail.mails.filter(({ to }) => to === taken).length, 5);
    service.clock.advance(61 * 60_000);
    const since = service.mail.mails.length;
    await signUp(taken, OTHER_PASSWORD);
    await service.mail.next(taken, /You already have/, since);
  });

  it('C16 leaves the links to choose a password that were just mailed, however often it is tried', async () => {
    const email = newEmail();
    await signUp(email);
    await signUp(email, OTHER_PASSWORD);
    const token = tokenIn(await service.mail.next(email, /choose a password/)) ?? '';
    for (let i = 0; i < 8; i += 1) await signUp(email, `${OTHER_PASSWORD} ${i}`);
    await errandsRun(service);
    await reset(service, token);
    await signIn(service, email, NEW_PASSWORD);
  });

  it('does all of it or nothing if the caller goes away', async () => {
    const emails = Array.from({ length: 40 }, () => newEmail());
    const calls = emails.map((email, i) =>
      service.auth.signUp(
        { email, password: PASSWORD, displayName: '' },
        { signal: AbortSignal.timeout(1 + i * 5) },
      ),
    );
    const results = await Promise.allSettled(calls);
    assert.ok(results.some(({ status }) => status === 'rejected'));
    await errandsRun(service);
    const left = await sql<{ credentials: string; tokens: string; events: string }>(
      service.databaseUrl,
      `select (select count(*) from password_credentials p where p.account_id = a.id) as credentials,
         (select count(*) from mailed_tokens t where t.account_id = a.id) as tokens,
         (select count(*) from audit_events e where e.subject = a.id) as events
       from accounts a where email = any($1)`,
      [emails],
    );
    for (const row of left) assert.deepEqual(row, { credentials: '1', tokens: '1', events: '1' });
  });

  it('names the fields that break their rules', async () => {
    const refused = await refusal(signUp('not an address', PASSWORD, 'x'.repeat(201)));
    assert.equal(refused.code, Code.InvalidArgument);
    assert.equal(refused.reason, 'INVALID_REQUEST');
    assert.deepEqual(refused.fields.sort(), ['display_name', 'email']);
  });

  it('refuses a name that the database cannot hold, as the fault of the request', async () => {
    const refused = await refusal(signUp(newEmail(), PASSWORD, 'Pat\u0000'));
    assert.equal(refused.code, Code.InvalidArgument);
    assert.deepEqual(refused.fields, ['display_name']);
  });
});

describe('SignUp, if signing in needs no verified address', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
  });

  it('C15 lets no link confirm the password of an account in use once someone else has signed up', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Mallory' });
    const first = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    const { accessToken } = await signIn(service, email);
    await service.auth.signUp({ email, password: OTHER_PASSWORD, displayName: 'Pat' });
    const refused = await refusal(service.auth.verifyEmail({ token: first }));
    assert.equal(refused.reason, 'TOKEN_INVALID');
    await service.auth.resendVerification({ email });
    await reset(service, tokenIn(await service.mail.next(email, /choose a password/)) ?? '');
    assert.equal(await isActive(service, accessToken), false);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    await signIn(service, email, NEW_PASSWORD);
  });

  it('leaves an account alone once someone has signed in to it', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
    await signIn(service, email);
    await service.auth.signUp({ email, password: OTHER_PASSWORD, displayName: 'Mallory' });
    await service.mail.next(email, /You already have an account/);
    await signIn(service, email);
    const thief = await refusal(signIn(service, email, OTHER_PASSWORD));
    assert.equal(thief.reason, 'INVALID_CREDENTIALS');
  });

  it('C05 is not locked by guesses at an earlier sign-up', async () => {
    const email = newEmail();
    const signUp = (password: string) =>
      service.auth.signUp({ email, password, displayName: 'Pat' });
    await signUp(OTHER_PASSWORD);
    for (let i = 0; i < 5; i += 1) await refusal(signIn(service, email, `wrong ${i}`));
    const locked = await refusal(signIn(service, email, OTHER_PASSWORD));
    assert.equal(locked.reason, 'INVALID_CREDENTIALS');
    await signUp(PASSWORD);
    await signIn(service, email);
  });
});
