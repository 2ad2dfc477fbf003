import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { SessionService } from '../../gen/countersign/v1/session_service_pb.ts';
import { sql } from '../harness/database.ts';
import { mailsHaveGone } from '../harness/errands.ts';
import { tokenIn } from '../harness/mail-server.ts';
import {
  accountOf,
  createAccount,
  NEW_PASSWORD,
  newEmail,
  PASSWORD,
  signIn,
} from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { reset } from '../passwords/reset.ts';

const THIEFS_PLACE = { address: '198.51.100.7' };

describe('A sign-in from a new device', () => {
  let service: Service;

  before(async () => {
    service = await startService({ env: { COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1' } });
  });

  const signInFrom = async (
    email: string,
    deviceLabel: string,
    userAgent: string,
    { address = '127.0.0.1', password = PASSWORD } = {},
  ) => {
    const baseUrl = `http://${service.app.grpcAddress}`;
    const named: Interceptor = (next) => (req) => {
      req.header.set('user-agent', userAgent);
      req.header.set('x-forwarded-for', address);
      return next(req);
    };
    const interceptors = [named];
    const auth = createClient(AuthService, createGrpcTransport({ baseUrl, interceptors }));
    const { outcome } = await auth.login({ email, password, deviceLabel });
    return outcome.case === 'tokens' ? outcome.value : undefined;
  };

  const notices = (email: string) =>
    service.mail.mails.filter(({ to, subject }) => to === email && /new device/.test(subject));

  it('E06 is reported to the owner, once for each device', async () => {
    const email = await createAccount(service);
    await signInFrom(email, 'laptop', 'cli/1');
    await signInFrom(email, 'laptop', 'cli/1');
    await signInFrom(email, 'phone', 'app/1');
    await signInFrom(email, 'phone', 'app/1');
    const mail = await service.mail.next(email, /new device/);
    assert.match(mail.text, /“phone”, address 127\.0\.0\.1/);
    await signInFrom(email, 'laptop', 'cli/2');
    await service.mail.next(email, /new device/, service.mail.mails.indexOf(mail) + 1);
    assert.equal(notices(email).length, 2);
  });

  it('E06 is reported by where it is, not only by what it claims to be', async () => {
    const email = await createAccount(service);
    for (const address of ['192.0.2.7', '192.0.2.250', '2001:db8:1:2::7', '2001:db8:1:2:3::9']) {
      await signInFrom(email, 'laptop', 'cli/1', { address });
    }
    const mail = await service.mail.next(email, /new device/);
    assert.match(mail.text, /address 2001:db8:1:2::7/);
    await signInFrom(email, 'laptop', 'cli/1', THIEFS_PLACE);
    const next = await service.mail.next(email, /new device/, service.mail.mails.indexOf(mail) + 1);
    assert.match(next.text, /address 198\.51\.100\.7/);
    assert.equal(notices(email).length, 2);
  });

  it("E06 is reported again if its session was ended as somebody else's", async () => {
    const email = await createAccount(service);
    const owner = await signInFrom(email, 'laptop', 'cli/1');
    const thief = await signInFrom(email, 'laptop', 'cli/1', THIEFS_PLACE);
    const mail = await service.mail.next(email, /new device/);
    const sessions = service.client(SessionService, 'grpc', owner?.accessToken);
    await sessions.revokeSession({ sessionId: thief?.sessionId ?? '' });
    await signInFrom(email, 'laptop', 'cli/1', THIEFS_PLACE);
    await service.mail.next(email, /new device/, service.mail.mails.indexOf(mail) + 1);
  });

  it('E06 is told of again after the account was taken back from it, although it had signed out', async () => {
    const email = await createAccount(service);
    await signInFrom(email, 'laptop', 'cli/1');
    const thief = await signInFrom(email, 'laptop', 'cli/1', THIEFS_PLACE);
    const mail = await service.mail.next(email, /new device/);
    await service.auth.logout({ refreshToken: thief?.refreshToken ?? '' });
    await service.auth.secureAccount({ token: tokenIn(mail) ?? '' });
    await reset(service, tokenIn(await service.mail.next(email, /Set a new password/)) ?? '');
    await signInFrom(email, 'laptop', 'cli/1', { ...THIEFS_PLACE, password: NEW_PASSWORD });
    await service.mail.next(email, /new device/, service.mail.mails.indexOf(mail) + 1);
  });

  it('E06 is reported if all earlier sessions are long gone', async () => {
    const email = await createAccount(service);
    await signInFrom(email, 'laptop', 'cli/1');
    await sql(
      service.databaseUrl,
      `delete from sessions using accounts a where a.id = account_id and a.email = $1`,
      [email],
    );
    await signInFrom(email, 'laptop', 'cli/1');
    await service.mail.next(email, /new device/);
  });

  it('E06 is answered by a link that signs everybody out', async () => {
    const email = await createAccount(service);
    const { accessToken } = await signIn(service, email);
    await signInFrom(email, 'phone', 'app/1');
    const token = tokenIn(await service.mail.next(email, /new device/)) ?? '';
    await service.auth.secureAccount({ token });
    const { active } = await service.sessions.introspectToken({ token: accessToken });
    assert.equal(active, false);
    await service.mail.next(email, /Set a new password/);
  });

  it('E05 shows what the person typed as text, and contains no link of their choice', async () => {
    const email = await createAccount(service);
    await signInFrom(email, 'laptop', 'cli/1');
    await signInFrom(email, '<b>x</b>\r\n\r\nClick https://evil.example now', 'app/1');
    const mail = await service.mail.next(email, /new device/);
    assert.equal(mail.raw.includes('<b>'), false);
    assert.equal(mail.text.includes('evil.example'), false);
  });
});

describe('Notices to an address that nobody has proved', () => {
  it('C16 are mailed five times at once, and then once an hour, until somebody proves it', async () => {
    const service = await startService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
    let devices = 0;
    const signInAnew = async (times: number) => {
      for (let time = 0; time < times; time += 1) {
        devices += 1;
        await service.auth.login({ email, password: PASSWORD, deviceLabel: `device ${devices}` });
      }
    };
    const notices = async () => {
      await mailsHaveGone(service);
      return service.mail.mails.filter(
        ({ to, subject }) => to === email && /new device|locked/.test(subject),
      ).length;
    };
    await signInAnew(1 + 4);
    assert.equal(await notices(), 4);
    await signInAnew(3);
    const guess = () => service.auth.login({ email, password: 'a guess', deviceLabel: '' });
    await Promise.all(Array.from({ length: 5 }, () => refusal(guess())));
    assert.equal(await notices(), 5);
    service.clock.advance(60 * 60_000 + 1000);
    await signInAnew(2);
    assert.equal(await notices(), 6);
    const since = service.mail.mails.length;
    await service.auth.resendVerification({ email });
    const link = await service.mail.next(email, /Confirm/, since);
    await service.auth.verifyEmail({ token: tokenIn(link) ?? '' });
    await signInAnew(3);
    assert.equal(await notices(), 9);
  });

  it('C16 are mailed as often of accounts that are deleted', async () => {
    const service = await startService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
    const email = newEmail();
    for (let time = 0; time < 7; time += 1) {
      await service.auth.signUp({ email, password: PASSWORD, displayName: 'Pat' });
      await accountOf(service, await signIn(service, email)).deleteMe({});
    }
    await mailsHaveGone(service);
    const about = service.mail.mails.filter(({ to }) => to === email);
    assert.equal(about.filter(({ subject }) => /deleted/.test(subject)).length, 5);
  });
});
