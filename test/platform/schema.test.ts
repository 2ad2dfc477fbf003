import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { openDatabase } from '../../src/schema.ts';
import { atEnd } from '../harness/at-end.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { errandsRun } from '../harness/errands.ts';
import { eventually } from '../harness/eventually.ts';
import { signedIn, signIn, signUp } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');

describe('the schema', () => {
  let url: string;

  before(async () => {
    url = await createDatabase();
  });

  it('is the same by the migrations as by the entities', async () => {
    const env = { DATABASE_URL: url, COUNTERSIGN_MASTER_KEY: KEY };
    const config = readConfig(env, () => '');
    const database = await openDatabase(config, createLog('silent'), { forMigration: true });
    atEnd(() => database.close());
    assert.equal((await database.schemaDifference()).trim(), '');
  });

  it('has an index on every foreign key', async () => {
    const bare = await sql(
      url,
      `select c.conrelid::regclass as table, a.attname as column
       from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
       where c.contype = 'f' and c.connamespace = 'public'::regnamespace and not exists
         (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1])`,
    );
    assert.deepEqual(bare, []);
  });

  it('allows an address for one live account, and frees it when the account is erased', async () => {
    const insert = (id: string) =>
      sql(
        url,
        `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
         values ($1, 'a@b.c', 'a@b.c', '', 'active', '{}', now(), now())`,
        [id],
      );
    await insert('00000000-0000-7000-8000-000000000001');
    await assert.rejects(insert('00000000-0000-7000-8000-000000000002'), /accounts_live_email/);
    await sql(url, `update accounts set state = 'deleted'`);
    await insert('00000000-0000-7000-8000-000000000002');
  });
});

describe('the hot paths', () => {
  let service: Service;

  before(async () => {
    service = await startService();
    await sql(service.databaseUrl, fill);
    // Those events are chained in the background, hundreds at a time.
    const waiting = 'select 1 from audit_events where position is null limit 1';
    await eventually(async () => (await sql(service.databaseUrl, waiting)).length === 0, 30_000);
    await sql(service.databaseUrl, 'analyze');
  });

  it('look every row up by an index', async () => {
    await statistics(service);
    const before = await sequentialScans(service.databaseUrl);
    const { email, refreshToken, accessToken } = await signedIn(service, signUp);
    const { tokens } = await service.auth.refreshToken({ refreshToken });
    await service.sessions.introspectToken({ token: accessToken });
    const keys = service.client(ApiKeyService, 'grpc', accessToken);
    const { secret } = await keys.createApiKey({ displayName: 'test' });
    await service.client(ApiKeyService).verifyApiKey({ secret });
    await keys.listApiKeys({});
    await service.auth.resendVerification({ email: 'nobody@example.com' });
    await refusal(signIn(service, email, 'wrong'));
    await service.auth.requestPasswordReset({ email });
    await errandsRun(service);
    await service.auth.logout({ refreshToken: tokens?.refreshToken ?? '' });
    await statistics(service);
    assert.deepEqual(await sequentialScans(service.databaseUrl), before);
  });
});

/** Ends every backend so that it hands its counts over, which it otherwise does after ten seconds. */
async function statistics({ app, databaseUrl }: Service): Promise<void> {
  const others = `from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;
  const ended = await sql<{ pid: number }>(databaseUrl, `select pid ${others}`);
  await sql(databaseUrl, `select pg_terminate_backend(pid) ${others}`);
  const left = `select 1 ${others} and pid = any($1)`;
  await eventually(
    async () => (await sql(databaseUrl, left, [ended.map(({ pid }) => pid)])).length === 0,
  );
  await eventually(async () => (await app.readiness()).status === 'ready');
}

/**
 * How often each of our large tables has been read from end to end. Not `revocations` and roles, which
 * replicas follow beside the calls, and clean: the planner may rightly read all of a small one. Nor
 * what has a row or none.
 */
async function sequentialScans(url: string): Promise<unknown> {
  return sql(
    url,
    `select relname, seq_scan from pg_stat_user_tables
      where schemaname = 'public' and relname not in
        ('signing_keys', 'schema_migrations', 'locks', 'revocations', 'roles', 'permissions', 'audit_chain',
         'audit_erasures', 'webhooks', 'webhook_fan_out', 'webhook_replays')
     order by relname`,
  );
}

/** Enough rows for the planner to prefer an index where there is one. */
const fill = `
  insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
  select gen_random_uuid(), n || '@x.y', n || '@x.y', '', 'active', '{user}', now(), now()
  from generate_series(1, 5000) n;
  insert into password_credentials select id, 'x', now() from accounts where display_name = '';
  insert into audit_events
  select id, now(), 'x', null, null, 'success', null, null, 'x', '{}' from accounts
  where display_name = '';
  insert into sign_in_locks select id, 'password', 1, null from accounts where display_name = '';
  insert into totp_credentials select id, 'x', now(), null, 0 from accounts where display_name = '';
  insert into recovery_codes select gen_random_uuid(), id, 'x', 1, null from accounts
  where display_name = '';
  insert into passkeys
  select gen_random_uuid(), id, id, 'x', 0, '{}', false, '', now(), null from accounts
  where display_name = '';
  insert into identities select gen_random_uuid(), id, 'x', 'x', id, null, now() from accounts
  where display_name = '';
  insert into mail_budgets select decode(replace(id::text, '-', ''), 'hex'), 'verify_email', now()
  from accounts where display_name = '';
  insert into mailed_tokens
  select gen_random_uuid(), id, 'verify_email', 'x', 1, now(), now(), null from accounts
  where display_name = '';
  insert into sessions
  select gen_random_uuid(), id, '', '', '', '{pwd}', now(), now(), now() + interval '1 day', null,
    null, 0, 'x', 1, now()
  from accounts;
  insert into service_accounts
  select id, '', '', '{}', 'active', now(), now() from accounts where display_name = '';
  insert into api_keys (id, account_id, display_name, scopes, secret_hash, key_version, allowed_cidrs,
    created_at, changed_at)
  select gen_random_uuid(), id, '', '{}', 'x', 1, '{}', now(), now() - interval '1 day' from accounts
  where display_name = '';
  insert into scope_uses select id, 'users.read', '{}', '{}', current_date from api_keys
  where display_name = '';
  insert into shadow_denials select gen_random_uuid(), 'x', 'x', id::text, '', 1, now(), now()
  from accounts where display_name = '';
  insert into revocations select gen_random_uuid(), 'session', n, 'logout', now() - n * interval '10 seconds',
    now() + interval '1 hour' from generate_series(1, 5000) n`;
