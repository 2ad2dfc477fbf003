import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { totpStep } from '../../src/second-factors/totp.ts';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
import {
  MASTER_KEY,
  noteSecret,
  refusal,
  type Service,
  signedIn,
  signIn,
  sql,
  startReplica,
  startService,
  tokenIn,
} from '../harness.ts';

describe('A time-based code', () => {
  it('C09 is that of RFC 6238, appendix B', () => {
    const secret = Buffer.from('12345678901234567890');
    for (const [seconds, code] of [
      [59, '94287082'],
      [1111111109, '07081804'],
      [1111111111, '14050471'],
      [1234567890, '89005924'],
      [2000000000, '69279037'],
      [20000000000, '65353130'],
    ] as const) {
      const at = new Date(seconds * 1000);
      // The vectors have eight digits; six are the last six of them.
      assert.equal(totpStep(secret, code.slice(2), at), Math.floor(seconds / 30), code);
    }
  });
});

describe('An authenticator app', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const accountOf = (accessToken: string) => service.client(AccountService, 'grpc', accessToken);

  it('is enrolled by a URI, and asked for from then on', async () => {
    const { email, accessToken } = await signedIn(service);
    const other = await signIn(service, email);
    const account = accountOf(accessToken);
    const { secret, otpauthUri } = await account.beginTotpEnrollment({});
    const uri = new URL(otpauthUri);
    assert.equal(uri.protocol, 'otpauth:');
    assert.equal(decodeURIComponent(uri.pathname), `/issuer.test:${email}`);
    assert.equal(uri.searchParams.get('secret'), secret);
    assert.match(secret, /^[A-Z2-7]{32}$/);
    await signIn(service, email);
    assert.equal((await account.getMe({})).user?.mfaEnabled, false);
    const code = appCode(secret, service.clock.now());
    const { recoveryCodes } = await account.confirmTotpEnrollment({ code });
    for (const each of recoveryCodes) noteSecret(each);
    assert.equal((await account.getMe({})).user?.mfaEnabled, true);
    const { active } = await service.sessions.introspectToken({ token: other.accessToken });
    assert.equal(active, false);
    const { challengeToken } = await challenged(service, email);
    const again = service.auth.completeMfa({
      challengeToken,
      factor: { case: 'totpCode', value: code },
    });
    assert.equal((await refusal(again)).reason, 'MFA_CODE_INVALID');
  });

  it('is not on before its code was right, and begins again with a new secret', async () => {
    const { accessToken } = await signedIn(service);
    const account = accountOf(accessToken);
    const nothing = await refusal(account.confirmTotpEnrollment({ code: '123456' }));
    assert.deepEqual([nothing.code, nothing.reason], [Code.FailedPrecondition, 'MFA_STATE']);
    const first = await account.beginTotpEnrollment({});
    const second = await account.beginTotpEnrollment({});
    assert.notEqual(first.secret, second.secret);
    const stale = appCode(first.secret, service.clock.now());
    const refused = await refusal(account.confirmTotpEnrollment({ code: stale }));
    assert.deepEqual([refused.code, refused.reason], [Code.InvalidArgument, 'MFA_CODE_INVALID']);
    const code = appCode(second.secret, service.clock.now());
    await account.confirmTotpEnrollment({ code });
    assert.equal((await refusal(account.beginTotpEnrollment({}))).reason, 'MFA_STATE');
  });

  it('S11 is kept sealed, and its recovery codes as keyed hashes', async () => {
    const { email, secret, recoveryCodes } = await enrolled(service);
    const [row] = await sql<{ sealed: Buffer; hashes: Buffer[] }>(
      service.databaseUrl,
      `select t.secret_sealed as sealed, array(select code_hash from recovery_codes r
         where r.account_id = a.id) as hashes
       from accounts a join totp_credentials t on t.account_id = a.id where a.email = $1`,
      [email],
    );
    assert.equal(row?.sealed.includes(secret), false);
    assert.equal(row?.hashes.length, recoveryCodes.length);
    assert.ok(row?.hashes.every((hash) => hash.length === 32));
  });

  it('E06 is told of by mail, when it comes and when it goes', async () => {
    const { email, account } = await enrolled(service);
    await service.mail.next(email, /turned on/);
    await account.regenerateRecoveryCodes({});
    await service.mail.next(email, /codes were replaced/);
    await account.disableTotp({});
    await service.mail.next(email, /turned off/);
    await signIn(service, email);
    assert.equal((await refusal(account.disableTotp({}))).reason, 'MFA_STATE');
    assert.equal((await refusal(account.regenerateRecoveryCodes({}))).reason, 'MFA_STATE');
  });

  it("E06 is taken off by a notice's link, where a thief put it on", async () => {
    const { email } = await enrolled(service);
    const token = tokenIn(await service.mail.next(email, /turned on/)) ?? '';
    await service.auth.secureAccount({ token });
    const link = tokenIn(await service.mail.next(email, /Set a new password/)) ?? '';
    const newPassword = 'seven violet kettles on a raft';
    await service.auth.resetPassword({ token: link, newPassword });
    await signIn(service, email, newPassword);
  });

  it('has its recovery codes replaced, all of them', async () => {
    const { email, account, recoveryCodes } = await enrolled(service);
    const { recoveryCodes: next } = await account.regenerateRecoveryCodes({});
    const { challengeToken } = await challenged(service, email);
    const recover = (value = '') =>
      service.auth.completeMfa({ challengeToken, factor: { case: 'recoveryCode', value } });
    assert.equal((await refusal(recover(recoveryCodes[0]))).reason, 'MFA_CODE_INVALID');
    assert.ok((await recover(next[9])).tokens);
  });

  it('S11 outlives the master key that it was sealed under, once it has been used', async () => {
    const { email, secret } = await enrolled(service);
    const next = randomBytes(32).toString('base64');
    noteSecret(next);
    const signInAt = async (at: Service) => {
      const { challengeToken } = await challenged(at, email);
      service.clock.advance(30_000);
      const value = appCode(secret, service.clock.now());
      return at.auth.completeMfa({ challengeToken, factor: { case: 'totpCode', value } });
    };
    const versions = async () => {
      const rows = await sql<{ version: number }>(
        service.databaseUrl,
        `select get_byte(secret_sealed, 1) as version from totp_credentials t
         join accounts a on a.id = t.account_id where a.email = $1`,
        [email],
      );
      return rows.map(({ version }) => version);
    };
    const both = { COUNTERSIGN_MASTER_KEY: `2:${next},1:${MASTER_KEY}` };
    const rotated = await startReplica(service, { env: both });
    assert.deepEqual(await versions(), [1]);
    assert.ok((await signInAt(rotated)).tokens);
    assert.deepEqual(await versions(), [2]);
    assert.ok((await signInAt(rotated)).tokens);
  });
});
