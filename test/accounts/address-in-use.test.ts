import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { withRoles } from '../administrators.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  isActive,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signedIn,
  signIn,
  userIdOf,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { PHRASES, reset, resetToken } from '../passwords/reset.ts';
import { changeToken } from './moved.ts';

let service: Service;

before(async () => {
  service = await startService();
});

const tokenOf = async (to: string, subject: RegExp) =>
  tokenIn(await service.mail.next(to, subject)) ?? '';

/** Someone has signed up with an address and proved it. */
async function signUpAs(email: string) {
  await service.auth.signUp({ email, password: PASSWORD, displayName: 'Second' });
  await service.auth.verifyEmail({ token: await tokenOf(email, /Confirm your address/) });
  return signIn(service, email);
}

/**
 * A thief has signed in to someone's account and changed its address, and another account uses the old
 * one. Returns the tokens of both mails that the owner received.
 */
async function replaced() {
  const { email, accessToken } = await signedIn(service);
  const login = { email, password: PASSWORD, deviceLabel: 'of a thief' };
  const { outcome } = await service.auth.login(login);
  if (outcome.case !== 'tokens') throw new Error('no tokens');
  const { value: thief } = outcome;
  const aboutSignIn = await tokenOf(email, /new device/);
  const to = newEmail();
  const token = await changeToken(service, thief, to);
  await accountOf(service, thief).confirmEmailChange({ token });
  const aboutAddress = await tokenOf(email, /address was changed/);
  const second = await signUpAs(email);
  return { email, accessToken, thief, to, aboutSignIn, aboutAddress, second };
}

describe('SecureAccount, if another account has the address by now', () => {
  it('C14 does everything else, and leaves the thief no way to sign in and no mail', async () => {
    const { email, to, thief, accessToken, aboutAddress, second } = await replaced();
    await service.auth.secureAccount({ token: aboutAddress });
    for (const token of [thief.accessToken, accessToken]) {
      assert.equal(await isActive(service, token), false);
    }
    await service.mail.next(email, /belongs to another account/);
    assert.equal((await refusal(signIn(service, to))).reason, 'INVALID_CREDENTIALS');
    const since = service.mail.mails.length;
    await service.auth.requestPasswordReset({ email: to });
    // The address is free: it leads to a new account, and to no other.
    const other = await signUpAs(to);
    assert.notEqual(userIdOf(other), userIdOf(thief));
    const mailed = service.mail.mails.slice(since).filter((mail) => mail.to === to);
    assert.deepEqual(
      mailed.map(({ subject }) => subject),
      ['Confirm your address'],
    );
    assert.equal(await isActive(service, second.accessToken), true);
    await signIn(service, email);
  });

  it('C14 mails a link that restores the address once it is free', async () => {
    const { email, thief, aboutAddress, second } = await replaced();
    await service.auth.secureAccount({ token: aboutAddress });
    const early = await service.mail.next(email, /belongs to another account/);
    await service.auth.secureAccount({ token: tokenIn(early) ?? '' });
    const since = service.mail.mails.indexOf(early) + 1;
    const mail = await service.mail.next(email, /belongs to another account/, since);
    await accountOf(service, second).deleteMe({});
    await service.auth.secureAccount({ token: tokenIn(mail) ?? '' });
    await reset(service, await tokenOf(email, /Set a new password/));
    const owner = await signIn(service, email, NEW_PASSWORD);
    assert.equal(userIdOf(owner), userIdOf(thief));
    const { user } = await accountOf(service, owner).getMe({});
    assert.deepEqual([user?.email, user?.emailVerified], [email, true]);
  });

  it('C14 leaves a later notice its link as long as that can restore the address', async () => {
    const { email, to, thief, aboutSignIn, aboutAddress, second } = await replaced();
    await accountOf(service, thief).changePassword({
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    const thiefs = await tokenOf(to, /password was changed/);
    await service.auth.secureAccount({ token: aboutSignIn });
    await accountOf(service, second).deleteMe({});
    const late = await refusal(service.auth.secureAccount({ token: thiefs }));
    assert.equal(late.reason, 'TOKEN_INVALID');
    await service.auth.secureAccount({ token: aboutAddress });
    await reset(service, await tokenOf(email, /Set a new password/), PHRASES[1]);
    assert.equal(userIdOf(await signIn(service, email, PHRASES[1])), userIdOf(thief));
  });

  it('C14 lets an administrator give the account another address, and mail to no one before', async () => {
    const { admin } = await withRoles(service, 'user', 'admin');
    const { email, thief, aboutAddress } = await replaced();
    await service.auth.secureAccount({ token: aboutAddress });
    const userId = userIdOf(thief);
    const { user } = await admin.getUser({ userId });
    assert.deepEqual([user?.email, user?.emailVerified], [email, false]);
    const refused = await refusal(admin.sendPasswordReset({ userId }));
    assert.deepEqual([refused.code, refused.reason], [Code.AlreadyExists, 'EMAIL_TAKEN']);
    const stays = admin.updateUser({ user: create(UserSchema, { userId, email }) });
    assert.equal((await refusal(stays)).reason, 'EMAIL_TAKEN');
    const other = newEmail();
    await admin.updateUser({ user: create(UserSchema, { userId, email: other }) });
    await reset(service, await resetToken(service, other));
    assert.equal(userIdOf(await signIn(service, other, NEW_PASSWORD)), userId);
  });
});
