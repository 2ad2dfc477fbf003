import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { MfaFactor } from '../../gen/countersign/v1/mfa_pb.ts';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const MINUTE = 60_000;

describe('CompleteMfa', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService();
    replica = await startReplica(service);
  });

  const complete = (challengeToken: string, totpCode: string, at = service) =>
    at.auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value: totpCode } });
  const recover = (challengeToken: string, code: string) =>
    service.auth.completeMfa({ challengeToken, factor: { case: 'recoveryCode', value: code } });
  const wrong = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

  it('opens a session whose tokens say that two factors were given', async () => {
    const { email, secret } = await enrolled(service);
    const challenge = await challenged(service, email);
    assert.match(challenge.challengeToken, /^csc_/);
    assert.deepEqual(challenge.factors, [MfaFactor.TOTP, MfaFactor.RECOVERY_CODE]);
    const code = appCode(secret, service.clock.now());
    const { tokens } = await complete(challenge.challengeToken, code);
    const { principal } = await service.sessions.introspectToken({
      token: tokens?.accessToken ?? '',
    });
    assert.deepEqual(principal?.amr, ['pwd', 'otp', 'mfa']);
    const payload = JSON.parse(
      Buffer.from(tokens?.accessToken.split('.')[1] ?? '', 'base64url').toString(),
    );
    assert.equal(payload.acr, 'aal2');
  });

  it('C09 accepts a code once, even from 16 racers on two replicas', async () => {
    const { email, secret } = await enrolled(service);
    const { challengeToken } = await challenged(service, email);
    const code = appCode(secret, service.clock.now());
    const racers = Array.from({ length: 16 }, (_, i) =>
      complete(challengeToken, code, i % 2 ? service : replica),
    );
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const again = await challenged(service, email);
    assert.equal((await refusal(complete(again.challengeToken, code))).reason, 'MFA_CODE_INVALID');
  });

  it('C09 accepts the codes of one step before and after, and never goes back', async () => {
    const { email, secret } = await enrolled(service);
    service.clock.advance(10 * MINUTE);
    for (const [steps, taken] of [
      [-2, false],
      [2, false],
      [-1, true],
      [-1, false],
      [1, true],
      [0, false],
    ] as const) {
      const { challengeToken } = await challenged(service, email);
      const attempt = complete(challengeToken, appCode(secret, service.clock.now(), steps));
      if (taken) assert.ok((await attempt).tokens, String(steps));
      else assert.equal((await refusal(attempt)).reason, 'MFA_CODE_INVALID', String(steps));
    }
  });

  it('C09 locks the codes of an account after five wrong ones, whatever the challenge', async () => {
    const { email, secret, recoveryCodes } = await enrolled(service);
    for (let i = 0; i < 5; i += 1) {
      const { challengeToken } = await challenged(i % 2 ? service : replica, email);
      const code = wrong(appCode(secret, service.clock.now()));
      const refused = await refusal(complete(challengeToken, code, i % 2 ? service : replica));
      assert.equal(refused.code, Code.Unauthenticated);
    }
    const { challengeToken } = await challenged(service, email);
    const right = () => complete(challengeToken, appCode(secret, service.clock.now()));
    assert.equal((await refusal(right())).reason, 'MFA_CODE_INVALID');
    await service.mail.next(email, /locked/);
    await recover(challengeToken, recoveryCodes[0] ?? '');
    const next = await challenged(service, email);
    assert.ok((await complete(next.challengeToken, appCode(secret, service.clock.now()))).tokens);
  });

  it('C09 accepts each recovery code once, however it is written', async () => {
    const { email, recoveryCodes } = await enrolled(service);
    assert.equal(recoveryCodes.length, 10);
    assert.equal(new Set(recoveryCodes).size, 10);
    const [first = '', second = ''] = recoveryCodes;
    const { challengeToken } = await challenged(service, email);
    const racers = Array.from({ length: 8 }, () => recover(challengeToken, first));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const again = await challenged(service, email);
    assert.equal((await refusal(recover(again.challengeToken, first))).reason, 'MFA_CODE_INVALID');
    const spelled = second.replaceAll('-', ' ').toUpperCase();
    assert.ok((await recover(again.challengeToken, spelled)).tokens);
  });

  it('C06 accepts only the newest challenge of an account, for ten minutes', async () => {
    const { email, secret } = await enrolled(service);
    const code = () => appCode(secret, service.clock.now());
    const older = await challenged(service, email);
    const newer = await challenged(service, email);
    const voided = await refusal(complete(older.challengeToken, code()));
    assert.equal(voided.reason, 'TOKEN_INVALID');
    assert.deepEqual(voided.fields, ['challenge_token']);
    service.clock.advance(10 * MINUTE + 1000);
    assert.equal((await refusal(complete(newer.challengeToken, code()))).reason, 'TOKEN_EXPIRED');
  });

  it('S01 accepts no other token as a challenge, and a challenge as no other token', async () => {
    const { email, secret } = await enrolled(service);
    const { challengeToken } = await challenged(service, email);
    const code = appCode(secret, service.clock.now());
    for (const other of [challengeToken.replace('csc_', 'csr_'), 'csc_x', '{}']) {
      assert.equal((await refusal(complete(other, code))).reason, 'TOKEN_INVALID');
    }
    const spent = { token: challengeToken, newPassword: 'a completely new phrase 17' };
    assert.equal((await refusal(service.auth.resetPassword(spent))).reason, 'TOKEN_INVALID');
    const { active } = await service.sessions.introspectToken({ token: challengeToken });
    assert.equal(active, false);
  });

  it('refuses an account that was suspended between the two factors', async () => {
    const { email, secret } = await enrolled(service);
    const { challengeToken } = await challenged(service, email);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      email,
    ]);
    const refused = await refusal(complete(challengeToken, appCode(secret, service.clock.now())));
    assert.equal(refused.reason, 'ACCOUNT_SUSPENDED');
  });

  it('requires exactly one factor, in its form', async () => {
    const { email } = await enrolled(service);
    const { challengeToken } = await challenged(service, email);
    for (const value of ['12345', '1234567', 'abcdef', '１２３４５６']) {
      const refused = await refusal(complete(challengeToken, value));
      assert.equal(refused.code, Code.InvalidArgument, value);
      assert.deepEqual(refused.fields, ['totp_code']);
    }
    const none = await refusal(service.auth.completeMfa({ challengeToken }));
    assert.deepEqual([none.code, none.fields], [Code.InvalidArgument, ['factor']]);
  });
});
