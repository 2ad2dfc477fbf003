import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { migrations } from '../../migrations/index.ts';
import { runCommand } from '../harness/command.ts';
import { createDatabase, sql } from '../harness/database.ts';
import { signedIn, signIn } from '../harness/people.ts';
import { startService } from '../harness/service.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');

/** What a program of the version before, or after, can't live with while it is being applied. */
const UNSAFE = [
  /\bdrop\s+(table|column|constraint|index)\b/i,
  /\brename\b/i,
  /\balter\s+(column\s+)?\w+\s+(set\s+data\s+)?type\b/i,
  /\bset\s+not\s+null\b/i,
  /\badd\s+(column\s+)?\w+\s+[^,;]*not\s+null(?![^,;]*default)/i,
];

/** Changes that only allow more: the previous version continues with less. Each with what follows it. */
const WIDENING = [
  // The same constraint is added again at once, with more purposes than before.
  'alter table mailed_tokens drop constraint mailed_tokens_purpose_check',
  // Likewise, with more kinds; the previous version treats each as a session that nobody has.
  'alter table revocations drop constraint revocations_kind_check',
  // Likewise: the version before spends of the other kinds.
  'alter table mail_budgets drop constraint mail_budgets_kind_check',
  // Another one has taken its place, which leaves one more purpose out.
  'drop index mailed_tokens_live',
  // Likewise, which leaves links out: the version before makes all earlier ones void itself.
  'drop index mailed_tokens_one_live',
];

const isUnsafe = (statement: string) => UNSAFE.some((pattern) => pattern.test(statement));

/** What the next version might bring. */
const NEXT_VERSION = [
  'alter table accounts add column time_zone text',
  `alter table sessions add column country text not null default ''`,
  'create table devices (id uuid primary key, account_id uuid references accounts (id))',
  `insert into schema_migrations (name, executed_at) values ('Migration99991231235959', now())`,
];

describe('migrations', () => {
  it('W12 change nothing that the previous version relies on', async () => {
    for (const migration of migrations.slice(1)) {
      const Class = migration.class as unknown as new (...args: unknown[]) => Steps;
      const steps = new Class({}, {});
      await steps.up();
      for (const statement of steps.getQueries().map(String)) {
        assert.ok(!isUnsafe(statement) || WIDENING.includes(statement), statement);
      }
    }
    for (const planted of [
      'alter table accounts drop column email',
      'alter table accounts rename column email to mail',
      'alter table accounts alter column email type varchar(10)',
      'alter table accounts alter column email set not null',
      'alter table accounts add column locale text not null',
    ]) {
      assert.ok(isUnsafe(planted), planted);
    }
    for (const statement of NEXT_VERSION) assert.ok(!isUnsafe(statement), statement);
  });

  it('W12 let a replica keep serving while the next version is applied', async () => {
    const old = await startService();
    const { email, refreshToken } = await signedIn(old);
    for (const statement of NEXT_VERSION) await sql(old.databaseUrl, statement);
    await signedIn(old);
    await signIn(old, email);
    await old.auth.refreshToken({ refreshToken });
    assert.equal((await old.app.readiness()).status, 'ready');
  });

  it('W12 let the program be rolled back, and read what the next version has written', async () => {
    const next = await startService();
    const { refreshToken } = await signedIn(next);
    for (const statement of NEXT_VERSION) await sql(next.databaseUrl, statement);
    await next.app.stop();
    const rolledBack = await startService({ databaseUrl: next.databaseUrl });
    await rolledBack.auth.refreshToken({ refreshToken });
    await signedIn(rolledBack);
  });

  it('make a program that starts before them wait, and are applied once by several at once', async () => {
    const databaseUrl = await emptyDatabase();
    const starting = startService({ databaseUrl });
    const env = { DATABASE_URL: databaseUrl, COUNTERSIGN_MASTER_KEY: KEY };
    const results = await Promise.all([1, 2, 3].map(() => runCommand(['migrate', '--json'], env)));
    for (const { code, text } of results) assert.equal(code, 0, text);
    const applied = results.flatMap(({ text }) => JSON.parse(text).applied);
    assert.equal(applied.length, migrations.length);
    const service = await starting;
    await signedIn(service);
  });
});

type Steps = { up(): void | Promise<void>; getQueries(): unknown[] };

async function emptyDatabase(): Promise<string> {
  const url = await createDatabase();
  await sql(url, 'drop schema public cascade; create schema public; drop schema jobs cascade');
  return url;
}
