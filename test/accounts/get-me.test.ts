import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { UserState } from '../../gen/countersign/v1/user_pb.ts';
import { accountOf, signedIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('GetMe', () => {
  it('shows the account to its owner', async () => {
    const who = await signedIn(service);
    const { email } = who;
    const account = accountOf(service, who);
    const { user } = await account.getMe({});
    assert.match(user?.userId ?? '', /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      [user?.email, user?.emailVerified, user?.displayName, user?.state, user?.roles],
      [email, true, 'Pat', UserState.ACTIVE, ['user']],
    );
    assert.equal(user?.mfaEnabled, false);
    assert.ok(user?.createdAt && user.updatedAt && user.lastLoginAt && user.etag);
  });

  it('shows each of many who ask at once their own', async () => {
    const people = await Promise.all(Array.from({ length: 8 }, () => signedIn(service)));
    const asked = Array.from({ length: 80 }, async (_, index) => {
      const who = people[index % people.length] ?? (await signedIn(service));
      const { user } = await accountOf(service, who).getMe({});
      assert.equal(user?.email, who.email);
    });
    await Promise.all(asked);
  });

  it('refuses a caller who is not signed in', async () => {
    const refused = await refusal(service.client(AccountService).getMe({}));
    assert.equal(refused.reason, 'CREDENTIALS_MISSING');
  });
});
