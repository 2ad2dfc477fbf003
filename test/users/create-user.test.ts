import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { UserSchema, UserState } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { NEW_PASSWORD, newEmail, PASSWORD, person, signIn, userIdOf } from '../harness/people.ts';
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
    await service.auth.resetPassword({ token, newPassword: NEW_PASSWORD });
    assert.equal(userIdOf(await signIn(service, email, NEW_PASSWORD)), user?.userId);
    assert.equal(
      (await boss.admin.getUser({ userId: user?.userId ?? '' })).user?.emailVerified,
      true,
    );
    const again = await refusal(
      service.auth.resetPassword({ token, newPassword: `${NEW_PASSWORD} 2` }),
    );
    assert.equal(again.reason, 'TOKEN_INVALID');
    const events = await eventsOf(service, user?.userId ?? '');
    assert.equal(events[0]?.type, 'account.invited');
    assert.equal(events[0]?.actor, helper.userId);
  });

  it('C16 leaves the invitation to its owner, whoever asks for a link meanwhile', async () => {
    const alone = await startService();
    const { admin } = await withRoles(alone, 'user', 'support');
    const email = newEmail();
    await admin.createUser({ email, displayName: 'Ada' });
    const invitation = tokenIn(await alone.mail.next(email, /account is ready/)) ?? '';
    alone.clock.advance(3600_000);
    await alone.auth.requestPasswordReset({ email });
    const asked = tokenIn(await alone.mail.next(email, /Set a new password/)) ?? '';
    alone.clock.advance(3600_000);
    const set = (token: string) => alone.auth.resetPassword({ token, newPassword: NEW_PASSWORD });
    assert.equal((await refusal(set(asked))).reason, 'TOKEN_EXPIRED');
    await set(invitation);
    await signIn(alone, email, NEW_PASSWORD);
  });

  it('refuses an address that is in use, and takes one that nobody has proved', async () => {
    const { email } = await person(service);
    const refused = await refusal(boss.admin.createUser({ email: email.toUpperCase() }));
    assert.deepEqual([refused.code, refused.reason], [Code.AlreadyExists, 'EMAIL_TAKEN']);
    const unproved = newEmail();
    await service.auth.signUp({ email: unproved, password: PASSWORD, displayName: 'Mallory' });
    await service.mail.next(unproved, /Confirm/);
    const { user } = await boss.admin.createUser({ email: unproved, displayName: 'Ada' });
    assert.equal(user?.displayName, 'Ada');
    assert.equal((await refusal(signIn(service, unproved))).reason, 'INVALID_CREDENTIALS');
  });

  it('A05 never takes the address of a sign-up that has been made an administrator', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Ada' });
    await service.mail.next(email, /./);
    const { users } = await boss.admin.listUsers({ query: email });
    const userId = users[0]?.userId ?? '';
    await boss.admin.grantRole({ holder: { case: 'userId', value: userId }, role: 'admin' });
    const row = { email, displayName: 'Mallory' };
    assert.equal((await refusal(helper.admin.createUser(row))).reason, 'EMAIL_TAKEN');
    const { userId: own } = await person(service);
    const move = boss.admin.updateUser({ user: create(UserSchema, { userId: own, email }) });
    assert.equal((await refusal(move)).reason, 'EMAIL_TAKEN');
    const rows = async function* () {
      yield { message: { case: 'user', value: row } } as const;
    };
    await Array.fromAsync(boss.admin.importUsers(rows()));
    assert.deepEqual((await boss.admin.getUser({ userId })).user?.roles, ['user', 'admin']);
  });

  it('keeps the invited account from anyone who signs up with its address', async () => {
    const email = newEmail();
    const { user } = await boss.admin.createUser({ email, displayName: 'Ada' });
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Mallory' });
    await service.mail.next(email, /already have/);
    const { user: after } = await boss.admin.getUser({ userId: user?.userId ?? '' });
    assert.deepEqual(after, user);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
  });

  it('creates one account for 16 calls at once', async () => {
    const email = newEmail();
    const racers = Array.from({ length: 16 }, () => boss.admin.createUser({ email }));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
  });
});
