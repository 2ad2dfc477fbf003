import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { accountOf, isActive, NEW_PASSWORD, PASSWORD, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { moved } from './moved.ts';

const MINUTE = 60_000;

let service: Service;

before(async () => {
  service = await startService();
});

describe('SecureAccount', () => {
  const noticeToken = async (to: string, subject: RegExp) =>
    tokenIn(await service.mail.next(to, subject)) ?? '';

  it('E06 gives the old address back, ends every session, and mails a link', async () => {
    const { email, to, accessToken } = await moved(service);
    const thief = await signIn(service, to);
    const token = await noticeToken(email, /address was changed/);
    await service.auth.secureAccount({ token });
    assert.equal(await isActive(service, thief.accessToken), false);
    assert.equal(await isActive(service, accessToken), false);
    const link = await noticeToken(email, /Set a new password/);
    for (const address of [email, to]) {
      assert.equal((await refusal(signIn(service, address))).reason, 'INVALID_CREDENTIALS');
    }
    await service.auth.resetPassword({ token: link, newPassword: NEW_PASSWORD });
    await signIn(service, email, NEW_PASSWORD);
  });

  it('E06 voids what a thief was mailed meanwhile, and keeps what the owner was mailed before', async () => {
    const { email, to } = await moved(service);
    const rightful = await noticeToken(email, /address was changed/);
    const account = accountOf(service, await signIn(service, to));
    await account.changePassword({
      currentPassword: PASSWORD,
      newPassword: NEW_PASSWORD,
    });
    const thiefs = await noticeToken(to, /password was changed/);
    await service.auth.requestPasswordReset({ email: to });
    const thiefsReset = await noticeToken(to, /Set a new password/);
    await service.auth.secureAccount({ token: rightful });
    const secure = service.auth.secureAccount({ token: thiefs });
    assert.equal((await refusal(secure)).reason, 'TOKEN_INVALID');
    const reset = service.auth.resetPassword({
      token: thiefsReset,
      newPassword: 'six orange kettles on a raft',
    });
    assert.equal((await refusal(reset)).reason, 'TOKEN_INVALID');
  });

  it('E06 does so although the thief answered their own notice first', async () => {
    const { email, to } = await moved(service);
    const rightful = await noticeToken(email, /address was changed/);
    await service.auth.requestPasswordReset({ email: to });
    await service.auth.resetPassword({
      token: await noticeToken(to, /Set a new password/),
      newPassword: NEW_PASSWORD,
    });
    await service.auth.secureAccount({ token: await noticeToken(to, /password was changed/) });
    await service.auth.secureAccount({ token: rightful });
    await service.mail.next(email, /Set a new password/);
  });

  it('C06 takes a token once, for seven days', async () => {
    const { email } = await moved(service);
    const token = await noticeToken(email, /address was changed/);
    service.clock.advance(7 * 24 * 60 * MINUTE - 1000);
    const racers = Array.from({ length: 16 }, () =>
      service.client(AuthService, 'connect').secureAccount({ token }),
    );
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const late = await moved(service);
    const expired = await noticeToken(late.email, /address was changed/);
    service.clock.advance(7 * 24 * 60 * MINUTE + 1000);
    const refused = await refusal(service.auth.secureAccount({ token: expired }));
    assert.equal(refused.reason, 'TOKEN_EXPIRED');
  });
});
