import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from '../harness/database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  claimsOf,
  createAccount,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signIn,
  userIdOf,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { PATIENT, type Service, startReplica, startService } from '../harness/service.ts';
import { reset } from '../passwords/reset.ts';

describe('ResendVerification', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService({ env: PATIENT });
    replica = await startReplica(service);
  });

  async function signUp(): Promise<{ email: string; token: string }> {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
    return { email, token: tokenIn(await service.mail.next(email, /Confirm/)) ?? '' };
  }

  it('C16 sends a new mail, and leaves the link that was just mailed until one is used', async () => {
    const { email, token } = await signUp();
    const since = service.mail.mails.length;
    await service.auth.resendVerification({ email });
    const next = tokenIn(await service.mail.next(email, /Confirm/, since)) ?? '';
    await service.auth.verifyEmail({ token });
    const late = await refusal(service.auth.verifyEmail({ token: next }));
    assert.equal(late.reason, 'TOKEN_INVALID');
  });

  it('C06 voids a link that was mailed more than five minutes before', async () => {
    const { email, token } = await signUp();
    service.clock.advance(5 * 60_000 + 1000);
    const since = service.mail.mails.length;
    await service.auth.resendVerification({ email });
    const next = tokenIn(await service.mail.next(email, /Confirm/, since)) ?? '';
    const before = await refusal(service.auth.verifyEmail({ token }));
    assert.equal(before.reason, 'TOKEN_INVALID');
    await service.auth.verifyEmail({ token: next });
  });

  it('C15 mails a link to choose a password if a stranger has signed up meanwhile, and confirms neither', async () => {
    const { email } = await signUp();
    const stranger = 'a phrase of a stranger, 99';
    await service.auth.signUp({ email, password: stranger, displayName: 'Mallory' });
    const [account] = await sql<{ id: string }>(
      service.databaseUrl,
      `update accounts set roles = '{user,support}' where email = $1 returning id`,
      [email],
    );
    const theirs = await service.mail.next(email, /choose a password/);
    const since = service.mail.mails.indexOf(theirs) + 1;
    await service.auth.resendVerification({ email });
    const token = tokenIn(await service.mail.next(email, /choose a password/, since)) ?? '';
    await reset(service, token);
    assert.equal((await refusal(signIn(service, email, stranger))).reason, 'INVALID_CREDENTIALS');
    const owner = await signIn(service, email, NEW_PASSWORD);
    assert.equal(userIdOf(owner), account?.id);
    assert.deepEqual(claimsOf(owner.accessToken)['roles'], ['user']);
  });

  it('C15 mails such a link to anyone whom an administrator has invited or imported', async () => {
    const email = newEmail();
    await sql(
      service.databaseUrl,
      `with account as (
         insert into accounts (id, email, canonical_email, display_name, state, roles, created_at,
           updated_at, invited_at)
         values (gen_random_uuid(), $1, $1, '', 'active', '{user,support}', now(), now(), now())
         returning id)
       insert into password_credentials
       select id, (select password_hash from password_credentials limit 1), now() from account`,
      [email],
    );
    await service.auth.resendVerification({ email });
    await reset(service, tokenIn(await service.mail.next(email, /choose a password/)) ?? '');
    const owner = await signIn(service, email, NEW_PASSWORD);
    assert.deepEqual(claimsOf(owner.accessToken)['roles'], ['user', 'support']);
  });

  it('gives 10 more minutes', async () => {
    const { email } = await signUp();
    service.clock.advance(11 * 60_000);
    const since = service.mail.mails.length;
    await service.auth.resendVerification({ email });
    const token = tokenIn(await service.mail.next(email, /Confirm/, since)) ?? '';
    service.clock.advance(9 * 60_000);
    await service.auth.verifyEmail({ token });
  });

  it('accepts the address in any case, and writes to it as it was signed up', async () => {
    const { email } = await signUp();
    const since = service.mail.mails.length;
    await service.auth.resendVerification({ email: email.toUpperCase() });
    await service.mail.next(email, /Confirm/, since);
  });

  it('answers the same and sends nothing for an unknown, verified or suspended address', async () => {
    const verified = await createAccount(service);
    const { email: suspended } = await signUp();
    const { email: waiting } = await signUp();
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      suspended,
    ]);
    const since = service.mail.mails.length;
    for (const email of [newEmail(), verified, suspended]) {
      assert.deepEqual(
        await service.auth.resendVerification({ email }),
        await service.auth.resendVerification({ email: waiting }),
      );
    }
    await service.mail.next(waiting, /Confirm/, since);
    await sleep(1500);
    assert.deepEqual(
      new Set(service.mail.mails.slice(since).map(({ to }) => to)),
      new Set([waiting]),
    );
  });

  it('leaves one live token, and one mail that has it, if several calls come at once', async () => {
    const callAtOnce = async () => {
      const { email } = await signUp();
      const since = service.mail.mails.length;
      const again = { email, password: PASSWORD, displayName: 'Pat' };
      await Promise.all([
        service.auth.resendVerification({ email }),
        replica.auth.resendVerification({ email }),
        service.auth.resendVerification({ email }),
        replica.auth.signUp(again),
      ]);
      const tokens = await received(email, since, 4);
      const outcomes = await Promise.allSettled(tokens.map((token) => reset(service, token)));
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    };
    await Promise.all(Array.from({ length: 4 }, callAtOnce));
  });

  async function received(email: string, since: number, count: number): Promise<string[]> {
    for (let waited = 0; waited < 10_000; waited += 20) {
      const mails = service.mail.mails.slice(since).filter(({ to }) => to === email);
      if (mails.length === count) return mails.map((mail) => tokenIn(mail) ?? '');
      await sleep(20);
    }
    throw new Error('the mails have not come');
  }
});
