import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FieldMaskSchema } from '@bufbuild/protobuf/wkt';
import { type Client, Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { UserSchema, UserState } from '../../gen/countersign/v1/user_pb.ts';
import { enrolled } from '../authenticator-app.ts';
import {
  PASSWORD,
  refusal,
  type Service,
  signedIn,
  signIn,
  sql,
  startReplica,
  startService,
} from '../harness.ts';

let service: Service;

before(async () => {
  service = await startService();
});

async function person() {
  const { email, accessToken, refreshToken, sessionId } = await signedIn(service);
  const account = service.client(AccountService, 'grpc', accessToken);
  return { email, accessToken, refreshToken, sessionId, account };
}

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

describe('GetMe', () => {
  it('shows the account to its owner', async () => {
    const { email, account } = await person();
    const { user } = await account.getMe({});
    assert.match(user?.userId ?? '', /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      [user?.email, user?.emailVerified, user?.displayName, user?.state, user?.roles],
      [email, true, 'Pat', UserState.ACTIVE, ['user']],
    );
    assert.equal(user?.mfaEnabled, false);
    assert.ok(user?.createdAt && user.updatedAt && user.lastLoginAt && user.etag);
  });

  it('shows nobody to nobody', async () => {
    const refused = await refusal(service.client(AccountService).getMe({}));
    assert.equal(refused.reason, 'CREDENTIALS_MISSING');
  });
});

describe('UpdateMe', () => {
  it('changes what the mask names, and the etag with it', async () => {
    const { account } = await person();
    const { user: before } = await account.getMe({});
    const { user } = await update(account, 'Ada', ['display_name'], before?.etag);
    assert.equal(user?.displayName, 'Ada');
    assert.notEqual(user?.etag, before?.etag);
    const { user: read } = await account.getMe({});
    assert.deepEqual(read, user);
  });

  it('without a mask changes what is there', async () => {
    const { account } = await person();
    assert.equal((await update(account, 'Ada')).user?.displayName, 'Ada');
    assert.equal((await update(account, '')).user?.displayName, 'Ada');
    assert.equal((await update(account, '', ['display_name'])).user?.displayName, '');
  });

  it('refuses an older etag, and lets one of 16 racers with the same one through', async () => {
    const { account } = await person();
    const { user } = await account.getMe({});
    const racers = Array.from({ length: 16 }, (_, i) => update(account, `R${i}`, [], user?.etag));
    const won = (await Promise.allSettled(racers)).filter(({ status }) => status === 'fulfilled');
    assert.equal(won.length, 1);
    const refused = await refusal(update(account, 'Late', [], user?.etag));
    assert.deepEqual([refused.code, refused.reason], [Code.Aborted, 'ETAG_MISMATCH']);
  });

  it('refuses a mask with anything else', async () => {
    const { account } = await person();
    for (const path of ['email', 'roles', 'state', 'nothing', 'display_name.x']) {
      const refused = await refusal(update(account, 'Ada', ['display_name', path])).catch(() => {
        throw new Error(path);
      });
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['update_mask']]);
    }
  });

  it('keeps its etag through a sign-in', async () => {
    const { email, account } = await person();
    const { user } = await account.getMe({});
    await signIn(service, email);
    assert.equal((await account.getMe({})).user?.etag, user?.etag);
  });
});

describe('DeleteMe', () => {
  it('C13 erases what was held on the person, and ends their sessions on every replica', async () => {
    const replica = await startReplica(service);
    const { email, account, accessToken } = await enrolled(service);
    const { user } = await account.getMe({});
    await account.deleteMe({});
    for (const at of [service, replica]) {
      const { active } = await at.sessions.introspectToken({ token: accessToken });
      if (at === service) assert.equal(active, false);
    }
    assert.equal((await refusal(signIn(service, email))).reason, 'INVALID_CREDENTIALS');
    const [row] = await sql<Record<string, unknown>>(
      service.databaseUrl,
      `select to_jsonb(a) || jsonb_build_object('sessions',
         (select jsonb_agg(s) from sessions s where s.account_id = a.id)) as held
       from accounts a where id = $1`,
      [user?.userId],
    );
    const held = JSON.stringify(row);
    for (const personal of [email, 'Pat', '127.0.0.1', 'connect-es']) {
      assert.equal(held.includes(personal), false, personal);
    }
    const owned = await sql<{ table: string }>(
      service.databaseUrl,
      `select c.conrelid::regclass::text as table from pg_constraint c
       where c.contype = 'f' and c.confrelid = 'accounts'::regclass
         and c.conrelid <> 'sessions'::regclass`,
    );
    assert.ok(owned.length >= 7);
    for (const { table } of owned) {
      const query = `select 1 from ${table} where account_id = $1`;
      assert.deepEqual(await sql(service.databaseUrl, query, [user?.userId]), [], table);
    }
    await service.mail.next(email, /deleted/);
  });

  it('C13 keeps the audit trail, under an id that leads to nobody', async () => {
    const { email, account } = await person();
    const { user } = await account.getMe({});
    await account.deleteMe({});
    const events = await sql<{ type: string; row: string }>(
      service.databaseUrl,
      'select type, to_jsonb(e)::text as row from audit_events e where subject = $1 order by id',
      [user?.userId],
    );
    const types = events.map(({ type }) => type);
    assert.ok(types.includes('account.created') && types.includes('account.deleted'));
    assert.ok(events.every(({ row }) => !row.includes(email)));
  });

  it('C11 frees the address', async () => {
    const { email, account } = await person();
    const { user: before } = await account.getMe({});
    await account.deleteMe({});
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Next' });
    await service.mail.next(email, /Confirm/);
    const [row] = await sql<{ id: string }>(
      service.databaseUrl,
      'select id from accounts where email = $1',
      [email],
    );
    assert.notEqual(row?.id, before?.userId);
  });

  it('A05 leaves one administrator, however many go at once', async () => {
    const alone = await startService();
    const admins = await Promise.all([1, 2, 3, 4].map(() => signedIn(alone)));
    await sql(alone.databaseUrl, `update accounts set roles = '{user,admin}'`);
    const results = await Promise.allSettled(
      admins.map(({ accessToken }) =>
        alone.client(AccountService, 'grpc', accessToken).deleteMe({}),
      ),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    assert.equal(refused.length, 1);
    const last = await refusal(Promise.reject(refused[0]?.reason));
    assert.deepEqual([last.code, last.reason], [Code.FailedPrecondition, 'LAST_ADMIN']);
  });
});

describe('ExportMe', () => {
  it('C13 gives the owner what is held on them, and no secret', async () => {
    const { email, accessToken, refreshToken, sessionId, account } = await person();
    const { json } = await account.exportMe({});
    const held = JSON.parse(json);
    assert.equal(held.user.email, email);
    assert.equal(held.sessions[0].session_id, sessionId);
    assert.equal(held.sessions[0].ip_address, '127.0.0.1');
    assert.deepEqual(held.passkeys, []);
    const types = held.audit_events.map((event: { type: string }) => event.type);
    assert.ok(types.includes('account.created') && types.includes('session.created'));
    for (const secret of [accessToken, refreshToken, 'argon2', 'hash', 'sealed']) {
      assert.equal(json.includes(secret), false, secret);
    }
  });
});
