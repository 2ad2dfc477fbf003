import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { NEW_PASSWORD, person, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;
let boss: Administrator;
let helper: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
  helper = await withRoles(service, 'user', 'support');
});

describe('SendPasswordReset', () => {
  it('C08 mails a link to the owner alone', async () => {
    const { userId, email } = await person(service);
    await helper.admin.sendPasswordReset({ userId });
    const token = tokenIn(await service.mail.next(email, /Set a new password/)) ?? '';
    await service.auth.resetPassword({ token, newPassword: NEW_PASSWORD });
    await signIn(service, email, NEW_PASSWORD);
    await boss.admin.suspendUser({ userId });
    const refused = await refusal(helper.admin.sendPasswordReset({ userId }));
    assert.deepEqual(
      [refused.code, refused.reason],
      [Code.FailedPrecondition, 'ACCOUNT_SUSPENDED'],
    );
  });

  it('C08 no field that administrators send is a password, and no field that they receive is a token', () => {
    const admins = AdminService.methods.filter(({ name }) => !/SigningKey/.test(name));
    const names = admins.flatMap(({ input, output }) =>
      [...input.fields, ...output.fields].map(({ name }) => name),
    );
    assert.deepEqual(
      names.filter((name) => /password|secret|(?<!page_)token/.test(name)),
      [],
    );
  });
});
