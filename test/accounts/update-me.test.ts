import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { type Client, Code } from '@connectrpc/connect';
import type { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { accountOf, signedIn, signIn } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

const update = (
  account: Client<typeof AccountService>,
  displayName: string,
  paths: string[] = [],
  etag = '',
) =>
  account.updateMe({
    user: create(UserSchema, { displayName, etag }),
    updateMask: create(FieldMaskSchema, { paths }),
  });

describe('UpdateMe', () => {
  it('changes what the mask names, and the etag with it', async () => {
    const account = accountOf(service, await signedIn(service));
    const { user: before } = await account.getMe({});
    const { user } = await update(account, 'Ada', ['display_name'], before?.etag);
    assert.equal(user?.displayName, 'Ada');
    assert.notEqual(user?.etag, before?.etag);
    const { user: read } = await account.getMe({});
    assert.deepEqual(read, user);
  });

  it('changes the fields that are set if there is no mask', async () => {
    const account = accountOf(service, await signedIn(service));
    assert.equal((await update(account, 'Ada')).user?.displayName, 'Ada');
    assert.equal((await update(account, '')).user?.displayName, 'Ada');
    assert.equal((await update(account, '', ['display_name'])).user?.displayName, '');
  });

  it('refuses an older etag, and lets one of 16 racers with the same one through', async () => {
    const account = accountOf(service, await signedIn(service));
    const { user } = await account.getMe({});
    const racers = Array.from({ length: 16 }, (_, i) => update(account, `R${i}`, [], user?.etag));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const refused = await refusal(update(account, 'Late', [], user?.etag));
    assert.deepEqual([refused.code, refused.reason], [Code.Aborted, 'ETAG_MISMATCH']);
  });

  it('refuses a mask with anything else', async () => {
    const account = accountOf(service, await signedIn(service));
    for (const path of ['email', 'roles', 'state', 'nothing', 'display_name.x']) {
      const refused = await refusal(update(account, 'Ada', ['display_name', path])).catch(() => {
        throw new Error(path);
      });
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['update_mask']]);
    }
  });

  it('keeps its etag through a sign-in', async () => {
    const who = await signedIn(service);
    const { email } = who;
    const account = accountOf(service, who);
    const { user } = await account.getMe({});
    await signIn(service, email);
    assert.equal((await account.getMe({})).user?.etag, user?.etag);
  });
});
