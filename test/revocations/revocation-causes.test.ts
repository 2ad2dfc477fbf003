import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { appCode } from '../authenticator-app.ts';
import { Forger, judge } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signedIn,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { type Reader, reader, revoke } from './revocation-readers.ts';

describe('A revocation is told', () => {
  let service: Service;
  let watching: Reader;

  before(async () => {
    service = await startService();
    watching = await reader(await startReplica(service));
  });

  async function assertTold(sessionId: string, cause: string): Promise<void> {
    const { target, cause: told } = await watching.hears(sessionId);
    assert.deepEqual([target.case, told], ['sessionId', cause]);
  }

  /** The id of a second session of a person, and what opens their first. */
  async function twice() {
    const first = await signedIn(service);
    return { ...first, other: (await signIn(service, first.email)).sessionId };
  }

  async function newAddress({ email, accessToken }: { email: string; accessToken: string }) {
    const to = newEmail();
    await accountOf(service, { accessToken }).changeEmail({ newEmail: to });
    const token = tokenIn(await service.mail.next(to, /Confirm your new/)) ?? '';
    await accountOf(service, { accessToken }).confirmEmailChange({ token });
    return { email, to };
  }

  it('S09 of a sign-out', async () => {
    const { refreshToken, sessionId } = await signedIn(service);
    await service.auth.logout({ refreshToken });
    await assertTold(sessionId, 'logout');
  });

  it('S09 of a refresh token that was used twice', async () => {
    const { refreshToken, sessionId } = await signedIn(service);
    const { tokens } = await service.auth.refreshToken({ refreshToken });
    await service.auth.refreshToken({ refreshToken: tokens?.refreshToken ?? '' });
    await refusal(service.auth.refreshToken({ refreshToken }));
    await assertTold(sessionId, 'refresh_token_reused');
  });

  it('S09 of a password changed, and of one reset', async () => {
    const { accessToken, sessionId, other, email } = await twice();
    await accountOf(service, { accessToken }).changePassword({
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    await assertTold(other, 'password_changed');
    assert.equal(watching.of(sessionId), undefined);
    await service.auth.requestPasswordReset({ email });
    const token = tokenIn(await service.mail.next(email, /Set a new password/)) ?? '';
    await service.auth.resetPassword({ token, newPassword: `${NEW_PASSWORD} again` });
    await assertTold(sessionId, 'password_reset');
  });

  it('S09 of an address changed, and of an account secured', async () => {
    const person = await twice();
    const { email } = await newAddress(person);
    await assertTold(person.other, 'email_changed');
    const token = tokenIn(await service.mail.next(email, /address was changed/)) ?? '';
    await service.auth.secureAccount({ token });
    await assertTold(person.sessionId, 'account_secured');
  });

  it('S09 of a second factor, and of an account deleted', async () => {
    const { accessToken, sessionId, other } = await twice();
    const account = accountOf(service, { accessToken });
    const { secret } = await account.beginTotpEnrollment({});
    const code = appCode(secret, service.clock.now());
    const { recoveryCodes } = await account.confirmTotpEnrollment({ code });
    for (const each of recoveryCodes) noteSecret(each);
    await assertTold(other, 'mfa_enabled');
    await account.deleteMe({});
    await assertTold(sessionId, 'account_deleted');
  });
});

describe('A revocation on record', () => {
  let service: Service;
  let watching: Reader;
  let forger: Forger;

  before(async () => {
    service = await startService();
    watching = await reader(service);
    forger = await Forger.of(service);
  });

  /** Until the replica has seen it: what it tells, it enforces. */
  async function revoked(kind: string, id: string, notBefore: Date | null = null) {
    await revoke(service, kind, id, { notBefore });
    return (await watching.hears(id)).target;
  }

  it('S09 of a token is told as such, and refuses that token alone', async () => {
    const [bad, good] = [await forger.token({ jti: 'bad' }), await forger.token({ jti: 'good' })];
    assert.equal(await judge(service, bad), 'accepted');
    assert.deepEqual(await revoked('token', 'bad'), { case: 'tokenId', value: 'bad' });
    assert.equal(await judge(service, bad), 'TOKEN_REVOKED');
    assert.equal(await judge(service, good), 'accepted');
  });

  it('S09 of an account is told with its time, and refuses what was issued up to that second', async () => {
    const { claims } = await Forger.of(service);
    const sub = String(claims['sub']);
    const second = Number(claims['iat']);
    const at = (iat: number) => forger.token({ sub, iat });
    const tokens = [await at(second - 1), await at(second), await at(second + 1)] as const;
    const judged = () => Promise.all(tokens.map((each) => judge(service, each)));
    assert.deepEqual(await judged(), Array(3).fill('accepted'));
    const target = await revoked('subject', sub, new Date(second * 1000 + 300));
    assert.ok(target.case === 'subject');
    assert.equal(target.value.notBefore?.seconds, BigInt(second));
    assert.equal(target.value.notBefore?.nanos, 300_000_000);
    assert.deepEqual(await judged(), ['TOKEN_REVOKED', 'TOKEN_REVOKED', 'accepted']);
    const exact = await Forger.of(service);
    const other = String(exact.claims['sub']);
    await revoked('subject', other, new Date(second * 1000));
    assert.equal(await judge(service, await forger.token({ sub: other, iat: second })), 'accepted');
  });

  it('S09 of an API key is told as such', async () => {
    assert.deepEqual(await revoked('api_key', 'key-1'), { case: 'apiKeyId', value: 'key-1' });
  });

  it('S09 of a kind that only a newer version knows is passed over', async () => {
    const { databaseUrl } = service;
    await sql(databaseUrl, 'alter table revocations drop constraint revocations_kind_check');
    await revoke(service, 'planet', 'mars');
    assert.deepEqual(await revoked('token', 'last'), { case: 'tokenId', value: 'last' });
    assert.equal(watching.of('mars'), undefined);
  });

  it('S09 of a signing key is told as such, and refuses what it signed, known or not', async () => {
    const known = await forger.token({ jti: 'known' });
    assert.equal(await judge(service, known), 'accepted');
    const kid = String(forger.header['kid']);
    assert.deepEqual(await revoked('signing_key', kid), { case: 'signingKeyId', value: kid });
    for (const each of [known, await forger.token({ jti: 'new' })]) {
      assert.equal(await judge(service, each), 'TOKEN_REVOKED');
    }
  });
});
