import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import {
  AdminService,
  type ImportUsersRequestSchema,
  type ImportUsersResponse,
} from '../../gen/countersign/v1/admin_service_pb.ts';
import { ErrorReason } from '../../gen/countersign/v1/error_reason_pb.ts';
import { UserState } from '../../gen/countersign/v1/user_pb.ts';
import {
  ImportConflict,
  type ImportOptionsSchema,
  ImportOutcome,
  type PortableUserSchema,
} from '../../gen/countersign/v1/user_transfer_pb.ts';
import { type Administrator, eventsOf, withRoles } from '../administrators.ts';
import { sql } from '../harness/database.ts';
import { noteSecret } from '../harness/logs.ts';
import { newEmail, PASSWORD, signedIn, signIn, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { HASHED, HASHES } from '../passwords/hashes.ts';

const { CREATED, UPDATED, UNCHANGED, REFUSED } = ImportOutcome;
const BCRYPT = HASHES['bcrypt, $2y$'];

type Row = Exclude<MessageInitShape<typeof PortableUserSchema>, { $typeName: string }>;
type Options = MessageInitShape<typeof ImportOptionsSchema>;
type Request = MessageInitShape<typeof ImportUsersRequestSchema>;

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
  for (const hash of Object.values(HASHES)) noteSecret(hash);
});

const rowMessage = (value: Row): Request => ({ message: { case: 'user', value } });

async function* messages(rows: Iterable<Row>, options?: Options): AsyncGenerator<Request> {
  if (options) yield { message: { case: 'options', value: options } };
  for (const row of rows) yield rowMessage(row);
}

/** What became of each of these rows. */
function imported(
  rows: Iterable<Row>,
  options?: Options,
  { admin }: Pick<Administrator, 'admin'> = boss,
): Promise<ImportUsersResponse[]> {
  return Array.fromAsync(admin.importUsers(messages(rows, options)));
}

async function importOne(row: Row, options?: Options, by = boss): Promise<ImportUsersResponse> {
  const [answer, ...more] = await imported([row], options, by);
  assert.ok(answer && more.length === 0);
  return answer;
}

const update: Options = { onConflict: ImportConflict.UPDATE };

let batches = 0;

/** Rows of people whom nobody knows yet. */
function people(count: number): Row[] {
  batches += 1;
  return Array.from({ length: count }, (_, i) => ({
    externalId: `old|${batches}|${i}`,
    email: `${batches}.${i}@import.example`,
    emailVerified: true,
    displayName: `Person ${i}`,
  }));
}

const outcomes = (answers: ImportUsersResponse[]) => answers.map(({ outcome }) => outcome);

async function countOf(rows: Row[]): Promise<number> {
  const [found] = await sql<{ n: number }>(
    service.databaseUrl,
    'select count(*)::int as n from accounts where external_id = any($1)',
    [rows.map(({ externalId }) => externalId)],
  );
  return found?.n ?? 0;
}

describe('ImportUsers', () => {
  it('C03 creates accounts that sign in with the password they had, whatever hashed it', async () => {
    const rows = Object.values(HASHES).map((passwordHash, i) => {
      return { ...people(1)[0], email: `${i}${newEmail()}`, passwordHash };
    });
    assert.deepEqual(
      outcomes(await imported(rows)),
      rows.map(() => CREATED),
    );
    for (const { email } of rows) assert.ok((await signIn(service, email, HASHED)).accessToken);
  });

  it('keeps what a row says, and mails nobody', async () => {
    const email = `Some.${newEmail()}`;
    const createdAt = timestampFromDate(new Date('2019-05-06T07:08:09.123Z'));
    const row = {
      externalId: 'ldap|cn=Zoë',
      email,
      emailVerified: true,
      displayName: 'Zoë',
      createdAt,
    };
    const { userId } = await importOne({ ...row, roles: ['auditor'], state: UserState.SUSPENDED });
    const { user } = await boss.admin.getUser({ userId });
    assert.ok(user?.createdAt);
    assert.equal(timestampDate(user.createdAt).toISOString(), '2019-05-06T07:08:09.123Z');
    assert.deepEqual(
      [user.email, user.emailVerified, user.displayName, user.roles, user.state],
      [email, true, 'Zoë', ['user', 'auditor'], UserState.SUSPENDED],
    );
    await service.auth.requestPasswordReset({ email: boss.email });
    await service.mail.next(boss.email, /Set a new/);
    assert.deepEqual(
      service.mail.mails.filter(({ to }) => to === email),
      [],
    );
  });

  it('answers every row in its place, and refuses only the wrong ones', async () => {
    const wrong: [Row, string][] = [
      [{ email: '' }, 'email'],
      [{ email: 'nobody' }, 'email'],
      [{ email: ` ${newEmail()}` }, 'email'],
      [{ email: 'a\0b@example.com' }, 'email'],
      [{ email: `${'a'.repeat(250)}@example.com` }, 'email'],
      [{ email: 'pat@xn--80ak6aa92e.com' }, 'email'],
      [{ externalId: 'a\0b' }, 'external_id'],
      [{ externalId: 'x'.repeat(256) }, 'external_id'],
      [{ displayName: 'a\0b' }, 'display_name'],
      [{ displayName: 'x'.repeat(60_000) }, 'display_name'],
      [{ locale: 'de_DE' }, 'locale'],
      [{ locale: `de${'-x'.repeat(30_000)}` }, 'locale'],
      [{ passwordHash: PASSWORD }, 'password_hash'],
      [{ passwordHash: BCRYPT.replace('$05$', '$31$') }, 'password_hash'],
      [
        { passwordHash: '$scrypt$ln=30,r=8,p=1$AQIDBAUGBwg$AQIDBAUGBwgJCgsMDQ4PEA' },
        'password_hash',
      ],
      [{ roles: ['nobody-s'] }, 'roles'],
      [{ roles: ["'; drop table roles; --"] }, 'roles'],
      [{ roles: ['a\0b'] }, 'roles'],
      [{ roles: Array.from({ length: 11 }, (_, i) => `r${i}`) }, 'roles'],
      [{ state: UserState.DELETED }, 'state'],
      [{ createdAt: timestampFromDate(new Date(Date.now() + 3600_000)) }, 'created_at'],
      [{ createdAt: { seconds: -62135596800n, nanos: 0 } }, 'created_at'],
      [{ createdAt: { seconds: 2n ** 62n, nanos: 0 } }, 'created_at'],
    ];
    const good = people(wrong.length);
    const rows = wrong.flatMap(([row], i) => [good[i] ?? {}, { email: newEmail(), ...row }]);
    const answers = await imported(rows);
    assert.deepEqual(
      answers.map(({ index }) => Number(index)),
      rows.map((_, i) => i),
    );
    for (const [i, [row, field]] of wrong.entries()) {
      const { outcome, reason, field: at, description, userId } = answers[2 * i + 1] ?? {};
      const said = [outcome, reason, at, userId];
      const expected = [REFUSED, ErrorReason.INVALID_REQUEST, field, ''];
      assert.deepEqual(
        said,
        expected,
        JSON.stringify(row, (_, v) => `${v}` && v?.toString()),
      );
      assert.ok(description);
    }
    assert.equal(await countOf(good), good.length);
  });

  it('E01 sent again finds what is there: no account twice, and one audit event for each', async () => {
    const rows = people(1200);
    const sent = rows.slice(0, 700);
    const first = await imported(sent);
    assert.deepEqual(
      outcomes(first),
      sent.map(() => CREATED),
    );
    const again = await imported(rows);
    assert.deepEqual(
      outcomes(again),
      rows.map((_, i) => (i < 700 ? UNCHANGED : CREATED)),
    );
    assert.deepEqual(
      again.slice(0, 700).map(({ userId }) => userId),
      first.map(({ userId }) => userId),
    );
    const ids = again.map(({ userId }) => userId);
    const events = await sql<{ subject: string; actor: string }>(
      service.databaseUrl,
      `select subject, actor from audit_events where type = 'account.created' and subject = any($1)`,
      [ids],
    );
    assert.deepEqual(events.map(({ subject }) => subject).sort(), ids.sort());
    assert.ok(events.every(({ actor }) => actor === boss.userId));
    const [batch] = await sql<{ created: number }>(
      service.databaseUrl,
      `select sum((details->>'created')::int)::int as created from audit_events
       where type = 'users.imported' and details->>'import_id' in
         (select details->>'import_id' from audit_events where subject = any($1))`,
      [ids],
    );
    assert.equal(batch?.created, rows.length);
  });

  it('keeps what it has acknowledged if its caller breaks off, and continues from there', async () => {
    const rows = people(3000);
    const acknowledged: ImportUsersResponse[] = [];
    for await (const answer of boss.admin.importUsers(messages(rows))) {
      acknowledged.push(answer);
      if (acknowledged.length === 800) break;
    }
    const kept = await sql(service.databaseUrl, 'select 1 from accounts where id = any($1)', [
      acknowledged.map(({ userId }) => userId),
    ]);
    assert.equal(kept.length, 800);
    const again = await imported(rows);
    assert.ok(again.slice(0, 800).every(({ outcome }) => outcome === UNCHANGED));
    assert.equal(await countOf(rows), rows.length);
  });

  it('creates each account once if two replicas import the same people at once', async () => {
    const replica = await startReplica(service);
    const rows = people(1500);
    const admin = replica.client(AdminService, 'grpc', boss.accessToken);
    const both = await Promise.all([
      imported(rows),
      imported(rows.toReversed(), undefined, { admin }),
    ]);
    const created = both.flat().filter(({ outcome }) => outcome === CREATED);
    assert.equal(created.length, rows.length);
    assert.ok(both.flat().every(({ outcome }) => outcome === CREATED || outcome === UNCHANGED));
    assert.equal(await countOf(rows), rows.length);
  });

  it('answers each row before the next one is sent', async () => {
    const rows = people(5);
    let answered = 0;
    async function* requests() {
      for (const [i, row] of rows.entries()) {
        assert.equal(answered, i);
        const turn = Promise.withResolvers<void>();
        next = turn.resolve;
        yield rowMessage(row);
        await turn.promise;
      }
    }
    let next = () => {};
    for await (const { outcome } of boss.admin.importUsers(requests())) {
      assert.equal(outcome, CREATED);
      answered += 1;
      next();
    }
    assert.equal(answered, rows.length);
  });

  it('reads nothing more from a caller who takes no answers', async () => {
    let sent = 0;
    async function* unending() {
      for (const row of Array(20).fill(people(20_000)).flat()) {
        sent += 1;
        yield rowMessage(row);
      }
    }
    const leaving = new AbortController();
    const { signal } = leaving;
    const answers = boss.admin.importUsers(unending(), { signal })[Symbol.asyncIterator]();
    await answers.next();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await sleep(1500);
    }
    assert.ok(sent < 200_000, `${sent} rows were read`);
    leaving.abort();
    await assert.rejects(async () => {
      while (!(await answers.next()).done);
    });
  });

  it('treats a person who is twice in one stream as one person', async () => {
    const [row = {}] = people(1);
    const shouted = { ...row, email: row.email?.toUpperCase() ?? '' };
    const answers = await imported([row, shouted, { email: row.email ?? '' }]);
    assert.deepEqual(outcomes(answers), [CREATED, UNCHANGED, UNCHANGED]);
    assert.equal(new Set(answers.map(({ userId }) => userId)).size, 1);
  });

  it('C11 refuses an address that an account with another external id has', async () => {
    const [row = {}] = people(1);
    await importOne(row);
    const { outcome, reason, field } = await importOne({ ...row, externalId: 'another' });
    assert.deepEqual([outcome, reason, field], [REFUSED, ErrorReason.EMAIL_TAKEN, 'email']);
  });

  it('replaces a sign-up that nobody has proved, and is replaced by none', async () => {
    const email = newEmail();
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Squatter' });
    await service.mail.next(email, /Confirm/);
    const { outcome, userId } = await importOne({ email, passwordHash: BCRYPT });
    assert.equal(outcome, CREATED);
    await service.auth.signUp({ email, password: PASSWORD, displayName: 'Squatter' });
    await service.mail.next(email, /already have/);
    const { user } = await boss.admin.getUser({ userId });
    assert.deepEqual([user?.displayName, user?.emailVerified], ['', false]);
    assert.equal((await importOne({ email })).userId, userId);
    assert.equal((await refusal(signIn(service, email, HASHED))).reason, 'EMAIL_NOT_VERIFIED');
  });

  it('C13 erases the external id with the account, and exports it to its owner before', async () => {
    const [row = {}] = people(1);
    const { userId } = await importOne({ ...row, passwordHash: BCRYPT });
    const { accessToken } = await signIn(service, row.email ?? '', HASHED);
    const own = service.client(AccountService, 'grpc', accessToken);
    const { json } = await own.exportMe({});
    assert.equal(JSON.parse(json).user.external_id, row.externalId);
    await boss.admin.deleteUser({ userId });
    assert.equal(await countOf([row]), 0);
    const again = await importOne(row);
    assert.equal(again.outcome, CREATED);
    assert.notEqual(again.userId, userId);
  });

  it('A05 grants nothing that the caller may not grant', async () => {
    const helper = await withRoles(service, 'user', 'support');
    const rows = [['user'], [], ['support'], ['admin'], ['user', 'auditor']].map((roles) => {
      return { ...people(1)[0], roles };
    });
    const answers = await imported(rows, undefined, helper);
    assert.deepEqual(outcomes(answers), [CREATED, CREATED, REFUSED, REFUSED, REFUSED]);
    for (const { reason, field } of answers.slice(2)) {
      assert.deepEqual([reason, field], [ErrorReason.PERMISSION_DENIED, 'roles']);
    }
    await boss.admin.createRole({
      role: { name: 'granter', permissions: ['users.write', 'roles.write', 'users.read'] },
    });
    const granter = await withRoles(service, 'granter');
    const granted = await imported(
      [
        { ...people(1)[0], roles: ['granter'] },
        { ...people(1)[0], roles: ['support'] },
      ],
      undefined,
      granter,
    );
    assert.deepEqual(outcomes(granted), [CREATED, REFUSED]);
    assert.match(granted[1]?.description ?? '', /sessions\./);
  });

  it('ends as soon as its caller may not continue', async () => {
    for (const end of ['suspend', 'sign out', 'demote'] as const) {
      const helper = await withRoles(service, 'user', 'support');
      const rows = people(2);
      async function* requests() {
        yield rowMessage(rows[0] ?? {});
        await answered.promise;
        if (end === 'suspend') await boss.admin.suspendUser({ userId: helper.userId, reason: 'x' });
        if (end === 'sign out') await service.auth.logout({ refreshToken: helper.refreshToken });
        if (end === 'demote') {
          const holder = { case: 'userId' as const, value: helper.userId };
          await boss.admin.revokeRole({ holder, role: 'support' });
        }
        yield rowMessage(rows[1] ?? {});
      }
      const answered = Promise.withResolvers<void>();
      const got: ImportUsersResponse[] = [];
      const { reason } = await refusal(
        (async () => {
          for await (const answer of helper.admin.importUsers(requests())) {
            got.push(answer);
            answered.resolve();
          }
        })(),
      );
      // A role taken away revokes the token as well, and either may be noticed first.
      const expected = end === 'demote' ? /^(PERMISSION_DENIED|TOKEN_REVOKED)$/ : /^TOKEN_REVOKED$/;
      assert.match(reason ?? '', expected, end);
      assert.equal(got.length, 1);
      assert.equal(await countOf(rows), 1);
    }
  });

  it('takes options before the first row only, and answers the rows before them', async () => {
    const rows = people(3);
    const got: ImportUsersResponse[] = [];
    async function* requests(): AsyncGenerator<Request> {
      yield* messages(rows, {});
      yield { message: { case: 'options', value: { dryRun: true } } };
    }
    const { reason, fields } = await refusal(
      (async () => {
        for await (const answer of boss.admin.importUsers(requests())) got.push(answer);
      })(),
    );
    assert.deepEqual([reason, fields, got.length], ['INVALID_REQUEST', ['options'], rows.length]);
  });

  it('returns nothing for no rows', async () => {
    assert.deepEqual(await imported([]), []);
    assert.deepEqual(await imported([], { dryRun: true }), []);
  });
});

describe('ImportUsers, in a dry run', () => {
  it('says what it would do, and does nothing', async () => {
    const [known = {}, fresh = {}] = people(2);
    await importOne(known);
    const rows = [known, { ...known, displayName: 'Other' }, fresh, { email: 'nobody' }];
    const answers = await imported(rows, { ...update, dryRun: true });
    assert.deepEqual(outcomes(answers), [UNCHANGED, UPDATED, CREATED, REFUSED]);
    assert.equal(answers[2]?.userId, '');
    assert.equal(await countOf([fresh]), 0);
    const { user } = await boss.admin.getUser({ userId: answers[0]?.userId ?? '' });
    assert.equal(user?.displayName, known.displayName);
    assert.equal((await eventsOf(service, answers[0]?.userId ?? '')).length, 1);
  });
});

describe('ImportUsers, updating', () => {
  it('updates an account from its row, and records it', async () => {
    const [row = {}] = people(1);
    const { userId } = await importOne(row);
    const changed = { ...row, displayName: 'Renamed' };
    assert.equal((await importOne(changed)).outcome, UNCHANGED);
    assert.equal((await importOne(changed, update)).outcome, UPDATED);
    assert.equal((await importOne(changed, update)).outcome, UNCHANGED);
    assert.equal((await importOne({ ...changed, locale: 'de' }, update)).outcome, UPDATED);
    assert.equal((await importOne({ ...changed, locale: 'de' }, update)).outcome, UNCHANGED);
    const { user } = await boss.admin.getUser({ userId });
    assert.deepEqual([user?.displayName, user?.locale], ['Renamed', 'de']);
    const events = await eventsOf(service, userId);
    assert.deepEqual(
      events.map(({ type, details }) => [type, details['fields']]),
      [
        ['account.created', undefined],
        ['account.updated', ['display_name']],
        ['account.updated', ['locale']],
      ],
    );
  });

  it('C08 sets no password of an existing account, used or not, and proves no address', async () => {
    const [row = {}] = people(1);
    const { userId } = await importOne({ ...row, emailVerified: false });
    const { outcome } = await importOne({ ...row, passwordHash: BCRYPT }, update);
    assert.equal(outcome, UNCHANGED);
    assert.equal((await boss.admin.getUser({ userId })).user?.emailVerified, false);
    const { reason } = await refusal(signIn(service, row.email ?? '', HASHED));
    assert.equal(reason, 'INVALID_CREDENTIALS');
    const { email } = await signedIn(service);
    assert.equal((await importOne({ email, passwordHash: BCRYPT }, update)).outcome, UNCHANGED);
    assert.ok(await signIn(service, email));
  });

  it('finds an account by its address', async () => {
    const { email, ...tokens } = await signedIn(service);
    const { outcome, userId } = await importOne({ externalId: `adopt ${email}`, email }, update);
    assert.deepEqual([outcome, userId], [UPDATED, userIdOf(tokens)]);
    const other = await importOne({ externalId: `adopt ${email}`, email: newEmail() });
    assert.equal(other.userId, userId);
  });

  it('refuses changes that have their own methods: address, roles, state', async () => {
    const [row = {}] = people(1);
    await importOne(row);
    const differing: [Row, string][] = [
      [{ email: newEmail() }, 'email'],
      [{ roles: ['auditor'] }, 'roles'],
      [{ state: UserState.SUSPENDED }, 'state'],
    ];
    for (const [change, field] of differing) {
      const answer = await importOne({ ...row, ...change }, update);
      assert.deepEqual([answer.outcome, answer.field], [REFUSED, field]);
    }
    assert.equal((await importOne({ ...row, roles: ['user'] }, update)).outcome, UNCHANGED);
  });

  it('A05 changes nobody who may do more than the caller', async () => {
    const helper = await withRoles(service, 'user', 'support');
    const row = { email: boss.email, displayName: 'Fool' };
    const { outcome, reason } = await importOne(row, update, helper);
    assert.deepEqual([outcome, reason], [REFUSED, ErrorReason.PERMISSION_DENIED]);
  });
});
