import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { sql } from '../harness/database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { createAccount, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

const MINUTE = 60_000;

describe('A password that is guessed', () => {
  let service: Service;
  let replica: Service;

  before(async () => {
    service = await startService();
    replica = await startReplica(service);
  });

  /** Tries this many wrong passwords, one after the other, on both replicas in turn. */
  async function guess(email: string, times: number): Promise<void> {
    for (let i = 0; i < times; i += 1) {
      const refused = await refusal(signIn(i % 2 ? replica : service, email, `wrong ${i}`));
      assert.equal(refused.reason, 'INVALID_CREDENTIALS');
    }
  }

  const locked = async (email: string) =>
    (await signIn(service, email).catch(() => undefined)) === undefined;

  it('C05 is locked after five wrong ones for 15 minutes, in the same words', async () => {
    const email = await createAccount(service);
    await guess(email, 4);
    await signIn(service, email);
    await guess(email, 4);
    assert.equal(await locked(email), false);
    await guess(email, 5);
    const right = await refusal(signIn(replica, email));
    const wrong = await refusal(signIn(service, email, 'wrong'));
    assert.deepEqual({ ...right, requestId: '' }, { ...wrong, requestId: '' });
    service.clock.advance(14 * MINUTE);
    assert.equal(await locked(email), true);
    service.clock.advance(2 * MINUTE);
    assert.equal(await locked(email), false);
  });

  it('C05 is locked longer each time, and after ten until it is reset', async () => {
    const email = await createAccount(service);
    await guess(email, 5);
    let minutes = 15;
    for (let failures = 6; failures <= 10; failures += 1) {
      service.clock.advance(minutes * MINUTE + 1000);
      await guess(email, 1);
      minutes *= 2;
      service.clock.advance((minutes - 1) * MINUTE);
      assert.equal(await locked(email), true, `${failures}`);
      service.clock.advance(-(minutes - 1) * MINUTE);
    }
    service.clock.advance(400 * 24 * 60 * MINUTE);
    assert.equal(await locked(email), true);
    await service.auth.requestPasswordReset({ email });
    const token = tokenIn(await service.mail.next(email, /new password/)) ?? '';
    const password = 'another phrase entirely, 4711';
    await service.auth.resetPassword({ token, newPassword: password });
    await signIn(service, email, password);
  });

  it('C05 gives racers no more than the five tries, on two replicas', async () => {
    const email = await createAccount(service);
    const guesses = Array.from({ length: 64 }, (_, i) =>
      signIn(i % 2 ? replica : service, email, `wrong ${i}`),
    );
    const late = refusal(signIn(service, email));
    await Promise.allSettled(guesses);
    assert.equal((await late).reason, 'INVALID_CREDENTIALS');
    const [row] = await sql<{ failures: number }>(
      service.databaseUrl,
      `select failures from sign_in_locks l join accounts a on a.id = l.account_id where a.email = $1`,
      [email],
    );
    assert.equal(row?.failures, 5);
  });

  it('E06 is told to its owner, once for each lock', async () => {
    const email = await createAccount(service);
    await guess(email, 8);
    const mail = await service.mail.next(email, /locked/);
    assert.match(mail.text, /for a while/);
    assert.ok(tokenIn(mail));
    const mails = service.mail.mails.filter((each) => each.to === email);
    assert.equal(mails.filter(({ subject }) => /locked/.test(subject)).length, 1);
  });

  it('C05 is shown to its owner, who is signed in elsewhere', async () => {
    const { email, accessToken } = await signedIn(service);
    const account = service.client(AccountService, 'grpc', accessToken);
    assert.equal((await account.getMe({})).user?.lockedUntil, undefined);
    await guess(email, 5);
    const { user } = await account.getMe({});
    const left = Number(user?.lockedUntil?.seconds) - service.clock.now().getTime() / 1000;
    assert.ok(left > 890 && left <= 900);
  });

  it('C05 is counted in the same way if a signed-in caller gives it', async () => {
    const { email, accessToken } = await signedIn(service);
    const account = service.client(AccountService, 'grpc', accessToken);
    const change = (currentPassword: string) =>
      account.changePassword({ currentPassword, newPassword: 'another phrase entirely, 4711' });
    for (let i = 0; i < 5; i += 1) {
      const refused = await refusal(change(`wrong ${i}`));
      assert.equal(refused.reason, 'INVALID_CREDENTIALS');
    }
    const refused = await refusal(change('wrong'));
    assert.equal(refused.reason, 'ACCOUNT_LOCKED');
    assert.ok(Number(refused.retryAfterMs) > 14 * MINUTE);
    assert.equal(await locked(email), true);
  });
});
