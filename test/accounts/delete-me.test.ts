import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { newKey, verify } from '../api-keys/keys.ts';
import { enrolled } from '../authenticator-app.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { accountOf, PASSWORD, signedIn, signIn, signUp } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';

let service: Service;

before(async () => {
  service = await startService();
});

describe('DeleteMe', () => {
  it('C13 erases what was stored about the person, and ends their sessions on every replica', async () => {
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

  it('C13 leaves neither the name nor the networks of an API key', async () => {
    const who = await signedIn(service);
    const { id } = await newKey(service, who, {
      displayName: 'The key of Pat',
      allowedCidrs: ['192.0.2.77'],
    });
    await accountOf(service, who).deleteMe({});
    const [row] = await sql<{ held: string; revoked: boolean }>(
      service.databaseUrl,
      'select to_jsonb(k)::text as held, revoked_at is not null as revoked from api_keys k where id = $1',
      [id],
    );
    assert.equal(row?.revoked, true);
    assert.doesNotMatch(row?.held ?? '', /Pat|192\.0\.2\.77/);
  });

  it('C13 leaves nothing of a use of an API key that is noted after its owner has gone', async () => {
    const [who, other] = [await signedIn(service), await signedIn(service)];
    const [key, later] = [await newKey(service, who), await newKey(service, other)];
    await verify(service, { secret: key.secret, ipAddress: '192.0.2.78' });
    await accountOf(service, who).deleteMe({});
    await verify(service, { secret: later.secret, ipAddress: '192.0.2.79' });
    const addressOf = async (id: string) => {
      const query = 'select last_used_address as address from api_keys where id = $1';
      const [row] = await sql<{ address: string | null }>(service.databaseUrl, query, [id]);
      return row?.address;
    };
    await eventually(async () => (await addressOf(later.id)) === '192.0.2.79');
    assert.equal(await addressOf(key.id), null);
  });

  it('C13 keeps the audit trail, under an id that leads to nobody', async () => {
    const who = await signedIn(service, signUp);
    const { email } = who;
    const account = accountOf(service, who);
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
    const who = await signedIn(service);
    const { email } = who;
    const account = accountOf(service, who);
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

  it('A05 leaves one administrator, however many leave at once', async () => {
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
