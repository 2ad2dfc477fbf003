import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { createAccount, PASSWORD, signIn } from '../harness/people.ts';
import { type Service, startService } from '../harness/service.ts';

describe('A sign-in from a new device', () => {
  let service: Service;

  before(async () => {
    service = await startService();
  });

  const signInFrom = async (email: string, deviceLabel: string, userAgent: string) => {
    const baseUrl = `http://${service.app.grpcAddress}`;
    const named: Interceptor = (next) => (req) => {
      req.header.set('user-agent', userAgent);
      return next(req);
    };
    const interceptors = [named];
    const auth = createClient(AuthService, createGrpcTransport({ baseUrl, interceptors }));
    await auth.login({ email, password: PASSWORD, deviceLabel });
  };

  const notices = (email: string) =>
    service.mail.mails.filter(({ to, subject }) => to === email && /new device/.test(subject));

  it('E06 is told to the owner, once for each device', async () => {
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

  it('E05 shows what its person typed as text, and leads nowhere that they chose', async () => {
    const email = await createAccount(service);
    await signInFrom(email, 'laptop', 'cli/1');
    await signInFrom(email, '<b>x</b>\r\n\r\nClick https://evil.example now', 'app/1');
    const mail = await service.mail.next(email, /new device/);
    assert.equal(mail.raw.includes('<b>'), false);
    assert.equal(mail.text.includes('evil.example'), false);
  });
});
