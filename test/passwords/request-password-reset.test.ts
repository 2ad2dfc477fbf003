import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
import { errandsRun, mailsHaveGone } from '../harness/errands.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { createAccount, NEW_PASSWORD, newEmail, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { reset, resetToken } from './reset.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('RequestPasswordReset', () => {
  it('mails a link to the owner of an address, however it is written', async () => {
    const email = await createAccount(service);
    await service.auth.requestPasswordReset({ email: email.toUpperCase() });
    const token = tokenIn(await service.mail.next(email, /Set a new password/)) ?? '';
    await reset(service, token);
    await signIn(service, email, NEW_PASSWORD);
  });

  it('C04 mails nobody for an address without an account, or a suspended one', async () => {
    const email = await createAccount(service);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      email,
    ]);
    const since = service.mail.mails.length;
    await service.auth.requestPasswordReset({ email });
    await service.auth.requestPasswordReset({ email: newEmail() });
    await resetToken(service, await createAccount(service));
    const mailed = service.mail.mails
      .slice(since)
      .filter(({ subject }) => /new pass/.test(subject));
    assert.equal(mailed.length, 1);
  });

  it('C16 leaves a link that was just mailed, until one is used', async () => {
    const email = await createAccount(service);
    const first = await resetToken(service, email);
    const second = await resetToken(service, email);
    await reset(service, first);
    await signIn(service, email, NEW_PASSWORD);
    assert.equal((await refusal(reset(service, second))).reason, 'TOKEN_INVALID');
  });

  it('C16 mails five links at once to one person, and then one each quarter of an hour', async () => {
    const email = await createAccount(service);
    const since = service.mail.mails.length;
    const ask = async (times: number) => {
      const asked = Array.from({ length: times }, () =>
        service.auth.requestPasswordReset({ email }),
      );
      const [one, ...others] = await Promise.all(asked);
      for (const other of others) assert.deepEqual(other, one);
      await errandsRun(service);
      await mailsHaveGone(service);
      return service.mail.mails
        .slice(since)
        .filter(({ to, subject }) => to === email && subject === 'Set a new password');
    };
    assert.equal((await ask(12)).length, 5);
    service.clock.advance(15 * 60_000 + 1000);
    assert.equal((await ask(3)).length, 6);
    service.clock.advance(14 * 60_000);
    const mails = await ask(3);
    assert.equal(mails.length, 6);
    // A person who is not sent one has one that works.
    await reset(service, tokenIn(mails.at(-1) ?? { text: '' }) ?? '');
    // And reads them: the link was used.
    assert.equal((await ask(9)).length, 11);
  });

  it('refuses an invalid address', async () => {
    const refused = await refusal(service.auth.requestPasswordReset({ email: 'nobody' }));
    assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['email']]);
  });
});
