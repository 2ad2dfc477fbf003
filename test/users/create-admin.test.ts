import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { adminClient, withRoles } from '../administrators.ts';
import { runCommand } from '../harness/command.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { embeddedDirectory } from '../harness/embedded-database.ts';
import { tokenIn } from '../harness/mail-server.ts';
import { createAccount, NEW_PASSWORD, newEmail, PASSWORD, signIn } from '../harness/people.ts';
import { MASTER_KEY } from '../harness/prepared.ts';
import { startReplica, startService } from '../harness/service.ts';

const adminsIn = (databaseUrl: string) =>
  sql<{ email: string; roles: string[] }>(
    databaseUrl,
    `select email, roles from accounts where roles @> '{admin}'`,
  );

describe('COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL', () => {
  it('makes one administrator, however many replicas start, and mails a link to set a password', async () => {
    const databaseUrl = await createDatabase();
    const email = newEmail();
    const env = { COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL: email };
    const [service, ...others] = await Promise.all(
      [1, 2, 3].map(() => startService({ databaseUrl, env })),
    );
    assert.ok(service);
    assert.deepEqual(await adminsIn(databaseUrl), [{ email, roles: ['user', 'admin'] }]);
    // Any replica may have sent it.
    const mails = await Promise.any(
      [service, ...others].map(({ mail }) => mail.next(email, /account is ready/)),
    );
    await service.auth.resetPassword({ token: tokenIn(mails) ?? '', newPassword: NEW_PASSWORD });
    const admin = adminClient(service, await signIn(service, email, NEW_PASSWORD));
    assert.equal((await admin.listUsers({ role: 'admin' })).users.length, 1);
    const sent = [service, ...others].flatMap(({ mail }) => mail.mails);
    assert.equal(sent.filter(({ to, subject }) => to === email && /ready/.test(subject)).length, 1);
  });

  it('does nothing while there is an administrator', async () => {
    const service = await startService();
    const { email } = await withRoles(service, 'user', 'admin');
    await startReplica(service, { env: { COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL: newEmail() } });
    assert.deepEqual(
      (await adminsIn(service.databaseUrl)).map((each) => each.email),
      [email],
    );
  });

  it('gives nobody the role for an address that they have not proved', async () => {
    const service = await startService({ env: { COUNTERSIGN_REQUIRE_VERIFIED_EMAIL: 'false' } });
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Mallory' });
    await signIn(service, email);
    await startReplica(service, { env: { COUNTERSIGN_BOOTSTRAP_ADMIN_EMAIL: email } });
    assert.deepEqual(await adminsIn(service.databaseUrl), []);
  });
});

describe('countersign admin create', () => {
  it('invites someone new, promotes an existing account, and can be repeated', async () => {
    const service = await startService();
    const env = { DATABASE_URL: service.databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    const create = async (email: string) => {
      const { code, text } = await runCommand(['admin', 'create', '--email', email, '--json'], env);
      assert.equal(code, 0, text);
      return JSON.parse(text).outcome;
    };
    const email = newEmail();
    assert.equal(await create(email), 'invited');
    const token = tokenIn(await service.mail.next(email, /account is ready/)) ?? '';
    await service.auth.resetPassword({ token, newPassword: NEW_PASSWORD });
    assert.ok(await signIn(service, email, NEW_PASSWORD));
    assert.equal(await create(email), 'unchanged');
    const other = await createAccount(service);
    assert.equal(await create(other), 'promoted');
    assert.equal((await adminsIn(service.databaseUrl)).length, 2);
  });

  it('invites someone on the embedded database, while the service is not running', async () => {
    const env = { COUNTERSIGN_DATA_DIR: await embeddedDirectory() };
    const create = ['admin', 'create', '--email', newEmail(), '--json'];
    for (const outcome of ['invited', 'unchanged']) {
      const { code, text } = await runCommand(create, env);
      assert.equal(code, 0, text);
      assert.equal(JSON.parse(text).outcome, outcome);
    }
  });

  it('prints its usage, and says what it could not do', async () => {
    for (const args of [
      [],
      ['create'],
      ['create', '--email', 'x'],
      ['remove', '--email', 'a@b.test'],
    ]) {
      const { code, text } = await runCommand(['admin', ...args], {});
      assert.equal(code, 64);
      assert.match(text, /Usage: countersign admin/);
    }
    const service = await startService();
    const email = await createAccount(service);
    await sql(service.databaseUrl, `update accounts set state = 'suspended' where email = $1`, [
      email,
    ]);
    const env = { DATABASE_URL: service.databaseUrl, COUNTERSIGN_MASTER_KEY: MASTER_KEY };
    const { code, text } = await runCommand(['admin', 'create', '--email', email], env);
    assert.equal(code, 1);
    assert.match(text, /suspended/);
  });
});
