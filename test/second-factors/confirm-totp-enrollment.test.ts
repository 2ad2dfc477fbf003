import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { appCode, challenged, enrolled } from '../authenticator-app.ts';
import { sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, isActive, signedIn, signIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('ConfirmTotpEnrollment', () => {
  it('turns the app on, ends the other sessions, and takes its code only once', async () => {
    const { email, accessToken } = await signedIn(service);
    const other = await signIn(service, email);
    const account = accountOf(service, { accessToken });
    const { secret } = await account.beginTotpEnrollment({});
    const code = appCode(secret, service.clock.now());
    const { recoveryCodes } = await account.confirmTotpEnrollment({ code });
    for (const each of recoveryCodes) noteSecret(each);
    assert.equal((await account.getMe({})).user?.mfaEnabled, true);
    assert.equal(await isActive(service, other.accessToken), false);
    const { challengeToken } = await challenged(service, email);
    const again = service.auth.completeMfa({
      challengeToken,
      factor: { case: 'totpCode', value: code },
    });
    assert.equal((await refusal(again)).reason, 'MFA_CODE_INVALID');
  });

  it('refuses a code before there is a secret, and one of a replaced secret', async () => {
    const { accessToken } = await signedIn(service);
    const account = accountOf(service, { accessToken });
    const nothing = await refusal(account.confirmTotpEnrollment({ code: '123456' }));
    assert.deepEqual([nothing.code, nothing.reason], [Code.FailedPrecondition, 'MFA_STATE']);
    const first = await account.beginTotpEnrollment({});
    await account.beginTotpEnrollment({});
    const stale = appCode(first.secret, service.clock.now());
    const refused = await refusal(account.confirmTotpEnrollment({ code: stale }));
    assert.deepEqual([refused.code, refused.reason], [Code.InvalidArgument, 'MFA_CODE_INVALID']);
  });

  it('S11 keeps the secret sealed, and the recovery codes as keyed hashes', async () => {
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

  it('E06 tells the owner by mail', async () => {
    const { email } = await enrolled(service);
    await service.mail.next(email, /turned on/);
  });

  it('E06 is undone by the link in that mail, if a thief did it', async () => {
    const { email } = await enrolled(service);
    const token = tokenIn(await service.mail.next(email, /turned on/)) ?? '';
    await service.auth.secureAccount({ token });
    const link = tokenIn(await service.mail.next(email, /Set a new password/)) ?? '';
    const newPassword = 'seven violet kettles on a raft';
    await service.auth.resetPassword({ token: link, newPassword });
    await signIn(service, email, newPassword);
  });

  it('S11 keeps a secret working beyond the master key it was sealed under, once it has been used', async () => {
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
