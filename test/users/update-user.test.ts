import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { isActive, newEmail, person, signIn } from '../harness/people.ts';
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

describe('UpdateUser', () => {
  const update = (admin: Administrator['admin'], values: object, paths: string[] = []) =>
    admin.updateUser({
      user: create(UserSchema, values),
      updateMask: create(FieldMaskSchema, { paths }),
    });

  it('changes the name, and refuses an older etag', async () => {
    const { userId } = await person(service);
    const { user: before } = await boss.admin.getUser({ userId });
    const { user } = await update(helper.admin, { userId, displayName: 'Ada', etag: before?.etag });
    assert.equal(user?.displayName, 'Ada');
    const late = { userId, displayName: 'Eve', etag: before?.etag };
    assert.equal((await refusal(update(helper.admin, late))).reason, 'ETAG_MISMATCH');
  });

  it('E01 records the values before and after, in the part that is erased with the person', async () => {
    const { userId, email: old } = await person(service);
    const email = newEmail();
    await update(helper.admin, { userId, email, displayName: 'Ada' });
    const events = await eventsOf(service, userId);
    const changes = events.filter(({ personal }) => personal !== null);
    const actor = helper.userId;
    assert.deepEqual(
      new Map(changes.map(({ type, ...change }) => [type, change])),
      new Map([
        [
          'account.updated',
          {
            actor,
            details: { fields: ['display_name'] },
            personal: { before: { display_name: 'Pat' }, after: { display_name: 'Ada' } },
          },
        ],
        [
          'account.email_changed',
          { actor, details: {}, personal: { before: { email: old }, after: { email } } },
        ],
      ] as never),
    );
    assert.equal(changes.length, 2);
  });

  it('moves the account to an address that has to be proved, and lets the old address take it back', async () => {
    const { userId, email: old, accessToken } = await person(service);
    const email = newEmail();
    const { user } = await update(helper.admin, { userId, email }, ['email']);
    assert.deepEqual([user?.email, user?.emailVerified], [email, false]);
    assert.equal(await isActive(service, accessToken), false);
    assert.equal((await refusal(signIn(service, email))).reason, 'EMAIL_NOT_VERIFIED');
    const token = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    await service.auth.verifyEmail({ token });
    await signIn(service, email);
    const way = tokenIn(await service.mail.next(old, /address was changed/)) ?? '';
    await service.auth.secureAccount({ token: way });
    assert.equal((await boss.admin.getUser({ userId })).user?.email, old);
  });

  it('C08 A06 refuses masks of anything else, such as a password', async () => {
    const { userId } = await person(service);
    for (const path of ['password', 'state', 'roles', 'user_id', 'etag', 'nothing', 'email.x']) {
      const refused = await refusal(update(boss.admin, { userId, displayName: 'x' }, [path]));
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['update_mask']]);
    }
    const nobody = await refusal(update(boss.admin, { displayName: 'x' }));
    assert.deepEqual(nobody.fields, ['user.user_id']);
    const odd = await refusal(update(boss.admin, { userId, email: 'no address' }, ['email']));
    assert.deepEqual(odd.fields, ['user.email']);
    const none = await refusal(update(boss.admin, { userId }, ['*']));
    assert.deepEqual(none.fields, ['user.email']);
  });
});
