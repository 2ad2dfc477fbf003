import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { UserSchema, UserState } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, eventsOf, userIdOf, withRoles } from '../administrators.ts';
import {
  eventually,
  newEmail,
  PASSWORD,
  refusal,
  type Service,
  signedIn,
  signIn,
  startReplica,
  startService,
  tokenIn,
} from '../harness.ts';

const NEW = 'seven violet kettles on a raft';
const UNKNOWN = '01890000-0000-7000-8000-000000000000';

let service: Service;
let replica: Service;
let boss: Administrator;
let helper: Administrator;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  boss = await withRoles(service, 'user', 'admin');
  helper = await withRoles(service, 'user', 'support');
});

async function person() {
  const tokens = await signedIn(service);
  return { ...tokens, userId: userIdOf(tokens) };
}

const isActive = async (token: string, at = service) =>
  (await at.sessions.introspectToken({ token })).active;

describe('GetUser', () => {
  it('shows a user, and nobody who is not there', async () => {
    const { userId, email } = await person();
    const { user } = await helper.admin.getUser({ userId });
    assert.deepEqual([user?.userId, user?.email, user?.roles], [userId, email, ['user']]);
    assert.equal((await refusal(boss.admin.getUser({ userId: UNKNOWN }))).code, Code.NotFound);
  });
});

describe('CreateUser', () => {
  it('C08 mails the owner a link to set a password, and tells the administrator nothing', async () => {
    const email = newEmail();
    const { user } = await helper.admin.createUser({ email, displayName: 'Ada' });
    assert.deepEqual(
      [user?.email, user?.emailVerified, user?.roles, user?.state],
      [email, false, ['user'], UserState.ACTIVE],
    );
    const mail = await service.mail.next(email, /account is ready/);
    const token = tokenIn(mail) ?? '';
    await service.auth.resetPassword({ token, newPassword: NEW });
    assert.equal(userIdOf(await signIn(service, email, NEW)), user?.userId);
    assert.equal(
      (await boss.admin.getUser({ userId: user?.userId ?? '' })).user?.emailVerified,
      true,
    );
    const again = await refusal(service.auth.resetPassword({ token, newPassword: `${NEW} 2` }));
    assert.equal(again.reason, 'TOKEN_INVALID');
    const events = await eventsOf(service, user?.userId ?? '');
    assert.equal(events[0]?.type, 'account.invited');
    assert.equal(events[0]?.actor, helper.userId);
  });

  it('refuses an address that somebody has, and takes one that nobody proved', async () => {
    const { email } = await person();
    const refused = await refusal(boss.admin.createUser({ email: email.toUpperCase() }));
    assert.deepEqual([refused.code, refused.reason], [Code.AlreadyExists, 'EMAIL_TAKEN']);
    const unproved = newEmail();
    await service.auth.signUp({ email: unproved, password: PASSWORD, displayName: 'Mallory' });
    const { user } = await boss.admin.createUser({ email: unproved, displayName: 'Ada' });
    assert.equal(user?.displayName, 'Ada');
    assert.equal((await refusal(signIn(service, unproved))).reason, 'INVALID_CREDENTIALS');
  });

  it('keeps the invited account from whoever signs up with its address', async () => {
    const email = newEmail();
    const { user } = await boss.admin.createUser({ email, displayName: 'Ada' });
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Mallory' });
    await service.mail.next(email, /already have/);
    const { user: after } = await boss.admin.getUser({ userId: user?.userId ?? '' });
    assert.deepEqual(after, user);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
  });

  it('creates one account of 16 at once', async () => {
    const email = newEmail();
    const racers = Array.from({ length: 16 }, () => boss.admin.createUser({ email }));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
  });
});

describe('UpdateUser', () => {
  const update = (admin: Administrator['admin'], values: object, paths: string[] = []) =>
    admin.updateUser({
      user: create(UserSchema, values),
      updateMask: create(FieldMaskSchema, { paths }),
    });

  it('changes the name, and refuses an older etag', async () => {
    const { userId } = await person();
    const { user: before } = await boss.admin.getUser({ userId });
    const { user } = await update(helper.admin, { userId, displayName: 'Ada', etag: before?.etag });
    assert.equal(user?.displayName, 'Ada');
    const late = { userId, displayName: 'Eve', etag: before?.etag };
    assert.equal((await refusal(update(helper.admin, late))).reason, 'ETAG_MISMATCH');
  });

  it('E01 puts what was before and is after on record, where it goes with the person', async () => {
    const { userId, email: old } = await person();
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

  it('moves the account to an address that has to be proved, and lets the old one take it back', async () => {
    const { userId, email: old, accessToken } = await person();
    const email = newEmail();
    const { user } = await update(helper.admin, { userId, email }, ['email']);
    assert.deepEqual([user?.email, user?.emailVerified], [email, false]);
    assert.equal(await isActive(accessToken), false);
    assert.equal((await refusal(signIn(service, email))).reason, 'EMAIL_NOT_VERIFIED');
    const token = tokenIn(await service.mail.next(email, /Confirm/)) ?? '';
    await service.auth.verifyEmail({ token });
    await signIn(service, email);
    const way = tokenIn(await service.mail.next(old, /address was changed/)) ?? '';
    await service.auth.secureAccount({ token: way });
    assert.equal((await boss.admin.getUser({ userId })).user?.email, old);
  });

  it('C08 A06 refuses masks of anything else, such as a password', async () => {
    const { userId } = await person();
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

describe('SuspendUser', () => {
  it('S09 ends what the user has everywhere, until the user is reinstated', async () => {
    const { userId, accessToken, refreshToken, email } = await person();
    const { user } = await helper.admin.suspendUser({ userId, reason: 'spam' });
    assert.equal(user?.state, UserState.SUSPENDED);
    assert.equal(await isActive(accessToken), false);
    await eventually(async () => !(await isActive(accessToken, replica)), 1000);
    assert.equal(
      (await refusal(service.auth.refreshToken({ refreshToken }))).reason,
      'TOKEN_REVOKED',
    );
    assert.equal((await refusal(signIn(service, email))).reason, 'ACCOUNT_SUSPENDED');
    await helper.admin.suspendUser({ userId });
    const events = await eventsOf(service, userId);
    const suspended = events.filter(({ type }) => type === 'account.suspended');
    assert.deepEqual(suspended, [
      {
        type: 'account.suspended',
        actor: helper.userId,
        details: {},
        personal: { reason: 'spam' },
      },
    ]);
    const { user: back } = await helper.admin.reinstateUser({ userId });
    assert.equal(back?.state, UserState.ACTIVE);
    await helper.admin.reinstateUser({ userId });
    assert.ok(await signIn(service, email));
  });
});

describe('UnlockUser', () => {
  it('has the right password taken again', async () => {
    const { userId, email } = await person();
    for (let i = 0; i < 5; i += 1) await refusal(signIn(service, email, 'wrong'));
    await refusal(signIn(service, email));
    assert.ok((await boss.admin.getUser({ userId })).user?.lockedUntil);
    const { user } = await helper.admin.unlockUser({ userId });
    assert.equal(user?.lockedUntil, undefined);
    assert.ok(await signIn(service, email));
    await helper.admin.unlockUser({ userId });
    const events = await eventsOf(service, userId);
    assert.equal(events.filter(({ type }) => type === 'account.unlocked').length, 1);
  });
});

describe('DeleteUser', () => {
  it('C13 erases the account, and says who did', async () => {
    const { userId, email, accessToken } = await person();
    await helper.admin.deleteUser({ userId });
    assert.equal(await isActive(accessToken), false);
    assert.equal((await refusal(boss.admin.getUser({ userId }))).reason, 'NOT_FOUND');
    assert.equal((await refusal(boss.admin.deleteUser({ userId }))).reason, 'NOT_FOUND');
    await service.mail.next(email, /deleted/);
    const events = await eventsOf(service, userId);
    const { actor } = events.find(({ type }) => type === 'account.deleted') ?? {};
    assert.equal(actor, helper.userId);
    assert.equal(JSON.stringify(events).includes(email), false);
  });
});

describe('SendPasswordReset', () => {
  it('C08 mails a link to the owner alone', async () => {
    const { userId, email } = await person();
    await helper.admin.sendPasswordReset({ userId });
    const token = tokenIn(await service.mail.next(email, /Set a new password/)) ?? '';
    await service.auth.resetPassword({ token, newPassword: NEW });
    await signIn(service, email, NEW);
    await boss.admin.suspendUser({ userId });
    const refused = await refusal(helper.admin.sendPasswordReset({ userId }));
    assert.deepEqual(
      [refused.code, refused.reason],
      [Code.FailedPrecondition, 'ACCOUNT_SUSPENDED'],
    );
  });

  it('C08 no field that administrators send is a password, and none that they get a token', () => {
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

describe('RevokeUserSessions', () => {
  it('ends all of them, on every replica', async () => {
    const first = await person();
    const second = await signIn(service, first.email);
    const { userId } = first;
    assert.equal((await helper.admin.revokeUserSessions({ userId })).revokedCount, 2);
    assert.equal((await helper.admin.revokeUserSessions({ userId })).revokedCount, 0);
    for (const { accessToken } of [first, second]) {
      await eventually(async () => !(await isActive(accessToken, replica)), 1000);
    }
    const ended = (await eventsOf(service, userId)).find(({ type }) => type === 'sessions.ended');
    assert.equal(ended?.actor, helper.userId);
  });
});

describe('An administrator, to somebody who may do less', () => {
  it('A05 is out of reach, but for help', async () => {
    const { userId } = await withRoles(service, 'user', 'admin');
    const auditor = await withRoles(service, 'user', 'auditor');
    const user = create(UserSchema, { userId, displayName: 'x' });
    const { admin } = helper;
    for (const attempt of [
      () => admin.suspendUser({ userId }),
      () => admin.deleteUser({ userId }),
      () => admin.updateUser({ user }),
      () => admin.reinstateUser({ userId }),
      () => admin.suspendUser({ userId: auditor.userId }),
    ]) {
      const refused = await refusal(attempt());
      assert.deepEqual(
        [refused.code, refused.reason],
        [Code.PermissionDenied, 'PERMISSION_DENIED'],
      );
      assert.ok(refused.metadata['permission']);
    }
    await admin.unlockUser({ userId });
    await admin.sendPasswordReset({ userId });
    await admin.revokeUserSessions({ userId });
  });

  it('A05 is out of reach for who has just been demoted', async () => {
    const late = await withRoles(service, 'user', 'admin');
    const { userId } = await person();
    await boss.admin.revokeRole({
      holder: { case: 'userId', value: late.userId },
      role: 'admin',
    });
    const refused = await refusal(late.admin.suspendUser({ userId }));
    assert.equal(refused.reason, 'TOKEN_REVOKED');
  });

  it('A04 asks for a recent sign-in where it does harm', async () => {
    const { userId } = await person();
    const stale = await withRoles(service, 'user', 'admin');
    service.clock.advance(601_000);
    const { tokens } = await service.auth.refreshToken({ refreshToken: stale.refreshToken });
    const admin = service.client(AdminService, 'grpc', tokens?.accessToken ?? '');
    assert.ok((await admin.getUser({ userId })).user);
    for (const attempt of [
      () => admin.deleteUser({ userId }),
      () => admin.updateUser({ user: create(UserSchema, { userId }) }),
      () => admin.createUser({ email: newEmail() }),
      () => admin.grantRole({ holder: { case: 'userId', value: userId }, role: 'admin' }),
    ]) {
      assert.equal((await refusal(attempt())).reason, 'REAUTHENTICATION_REQUIRED');
    }
  });
});
