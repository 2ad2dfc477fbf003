import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { sql } from '../harness/database.ts';
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

  it('refuses what is no address', async () => {
    const refused = await refusal(service.auth.requestPasswordReset({ email: 'nobody' }));
    assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['email']]);
  });
});
