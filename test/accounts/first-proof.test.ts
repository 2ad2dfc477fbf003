import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { eventsOf, withRoles } from '../administrators.ts';
import { appCode } from '../authenticator-app.ts';
import { sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  isActive,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signIn,
  userIdOf,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { Authenticator } from '../passkeys/authenticator.ts';
import { register, signInByPasskey, startPasskeyService } from '../passkeys/people.ts';
import { reset, resetToken } from '../passwords/reset.ts';
import { changeToken } from './moved.ts';

let service: Service;

before(async () => {
  service = await startPasskeyService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
});

const tokenOf = async (to: string, subject: RegExp) =>
  tokenIn(await service.mail.next(to, subject)) ?? '';

/** Someone has signed up with an address that isn't theirs, and made themselves at home. */
async function squatted() {
  const email = newEmail();
  await service.auth.signUp({ email, password: PASSWORD, displayName: 'Mallory' });
  const confirmation = await tokenOf(email, /Confirm your address/);
  const { accessToken } = await signIn(service, email);
  const account = accountOf(service, { accessToken });
  const userId = userIdOf({ accessToken });
  const passkey = new Authenticator();
  await register(service, { accessToken }, passkey);
  const notice = await tokenOf(email, /passkey was added/);
  const keys = service.client(ApiKeyService, 'grpc', accessToken);
  const { secret: apiKey } = await keys.createApiKey({ displayName: 'back door' });
  const { secret } = await account.beginTotpEnrollment({});
  const code = appCode(secret, service.clock.now());
  const { recoveryCodes } = await account.confirmTotpEnrollment({ code });
  for (const each of recoveryCodes) noteSecret(each);
  const away = await changeToken(service, { accessToken }, newEmail());
  await sql(service.databaseUrl, `update accounts set roles = '{user,support}' where id = $1`, [
    userId,
  ]);
  await sql(
    service.databaseUrl,
    `insert into sign_in_locks select $1, unnest('{password,code}'::text[]), 10, '9999-12-31'`,
    [userId],
  );
  return { email, accessToken, userId, passkey, apiKey, away, notice, confirmation };
}

type Squatted = Awaited<ReturnType<typeof squatted>>;

/** Fails if anything of a squatter is left except their password. */
async function assertGone({ userId, passkey, apiKey, accessToken, away, notice }: Squatted) {
  assert.equal((await refusal(signInByPasskey(service, passkey))).reason, 'MFA_CODE_INVALID');
  const { valid } = await service.client(ApiKeyService).verifyApiKey({ secret: apiKey });
  assert.equal(valid, false);
  assert.equal(await isActive(service, accessToken), false);
  const moving = service.client(AccountService).confirmEmailChange({ token: away });
  assert.equal((await refusal(moving)).reason, 'TOKEN_INVALID');
  const securing = service.auth.secureAccount({ token: notice });
  assert.equal((await refusal(securing)).reason, 'TOKEN_INVALID');
  const left = await sql(
    service.databaseUrl,
    `select a.roles, (select count(*)::int from sign_in_locks where account_id = a.id) as locks
     from accounts a where id = $1`,
    [userId],
  );
  assert.deepEqual(left, [{ roles: ['user'], locks: 0 }]);
}

describe('The first proof of an address, if signing in needs none', () => {
  it('E06 C15 has nobody vouch for the device of a squatter who had signed out', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Mallory' });
    const { refreshToken } = await signIn(service, email);
    await service.auth.logout({ refreshToken });
    await reset(service, await resetToken(service, email));
    const own = { email, password: NEW_PASSWORD, deviceLabel: 'own' };
    await service.auth.login(own);
    const mail = await service.mail.next(email, /new device/);
    await signIn(service, email, NEW_PASSWORD);
    await service.mail.next(email, /new device/, service.mail.mails.indexOf(mail) + 1);
  });

  it('C15 by a reset link leaves nothing of an earlier sign-up', async () => {
    const squatter = await squatted();
    const { email, userId } = squatter;
    await reset(service, await resetToken(service, email));
    await assertGone(squatter);
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    const owner = await signIn(service, email, NEW_PASSWORD);
    assert.equal(userIdOf(owner), userId);
    const events = await eventsOf(service, userId);
    const proof = events.find(({ type }) => type === 'account.password_reset');
    const dropped = ['password', 'totp', 'recovery_codes', 'passkey'];
    assert.deepEqual(proof?.details, { dropped });
    assert.ok(events.some(({ type }) => type === 'role.revoked'));
  });

  it('C15 by the link of the sign-up leaves only its password', async () => {
    const squatter = await squatted();
    const { email, confirmation, accessToken } = squatter;
    // With someone else's session, which is not the one to keep.
    const stranger = (await squatted()).accessToken;
    await service.client(AuthService, 'grpc', stranger).verifyEmail({ token: confirmation });
    await assertGone(squatter);
    assert.equal(await isActive(service, accessToken), false);
    await signIn(service, email);
  });

  it('C15 leaves the session that presents the link, which its owner has as well as the mail', async () => {
    const { email, accessToken, passkey, confirmation, userId } = await squatted();
    await service.client(AuthService, 'grpc', accessToken).verifyEmail({ token: confirmation });
    const [session] = await sql<{ open: boolean }>(
      service.databaseUrl,
      'select ended_at is null as open from sessions where account_id = $1',
      [userId],
    );
    assert.equal(session?.open, true);
    // Its tokens have lost the role, and the next ones are without it.
    assert.equal(await isActive(service, accessToken), false);
    assert.equal((await refusal(signInByPasskey(service, passkey))).reason, 'MFA_CODE_INVALID');
    await signIn(service, email);
  });

  it('C15 by the link to a new address leaves nothing, and mails a link to set a password', async () => {
    const squatter = await squatted();
    const to = newEmail();
    const token = await changeToken(service, squatter, to);
    await service.client(AccountService).confirmEmailChange({ token });
    await assertGone({ ...squatter, away: token });
    assert.equal((await refusal(signIn(service, to))).reason, 'INVALID_CREDENTIALS');
    await reset(service, await tokenOf(to, /Set a new password/));
    await signIn(service, to, NEW_PASSWORD);
    const told = service.mail.mails.filter((mail) => mail.to === squatter.email);
    assert.ok(!told.some(({ subject }) => /address was changed/.test(subject)));
  });

  it('C14 C15 takes away what is older than the notice that is answered, too', async () => {
    const squatter = await squatted();
    await accountOf(service, squatter).regenerateRecoveryCodes({});
    const token = await tokenOf(squatter.email, /recovery codes were replaced/);
    await service.auth.secureAccount({ token });
    await assertGone(squatter);
    await reset(service, await tokenOf(squatter.email, /Set a new password/));
    await signIn(service, squatter.email, NEW_PASSWORD);
  });

  it('C15 accepts a password that was set before, and once proved refuses it', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
    await reset(service, await resetToken(service, email), PASSWORD);
    await signIn(service, email);
    const again = reset(service, await resetToken(service, email), PASSWORD);
    assert.equal((await refusal(again)).reason, 'PASSWORD_REUSED');
  });

  it('takes nothing from an owner whom an administrator has moved to another address', async () => {
    const { admin } = await withRoles(service, 'user', 'admin');
    const { email, accessToken, confirmation } = await squatted();
    await service.client(AuthService, 'grpc', accessToken).verifyEmail({ token: confirmation });
    const owner = await signIn(service, email);
    const passkey = new Authenticator();
    await register(service, owner, passkey);
    const to = newEmail();
    const user = create(UserSchema, { userId: userIdOf(owner), email: to });
    await admin.updateUser({ user });
    await service.auth.verifyEmail({ token: await tokenOf(to, /Confirm your address/) });
    await signInByPasskey(service, passkey);
    await signIn(service, to);
  });

  it('A05 C15 leaves the last administrator, whose role no one else has', async () => {
    const { email, userId, confirmation } = await squatted();
    await sql(
      service.databaseUrl,
      `update accounts set roles = case when id = $1 then '{user,admin,support}'::text[] else '{user}' end`,
      [userId],
    );
    await service.auth.verifyEmail({ token: confirmation });
    const rows = await sql(service.databaseUrl, 'select roles from accounts where email = $1', [
      email,
    ]);
    assert.deepEqual(rows, [{ roles: ['user', 'admin'] }]);
  });
});
