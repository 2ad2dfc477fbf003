import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import type { ListUsersRequest } from '../../gen/countersign/v1/admin_service_pb.ts';
import { UserState } from '../../gen/countersign/v1/user_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';

type Request = Partial<Omit<ListUsersRequest, '$typeName'>>;

let service: Service;
let helper: Administrator;

before(async () => {
  service = await startService();
  helper = await withRoles(service, 'user', 'support');
  await insert([
    ['ada@one.test', 'Ada Lovelace'],
    ['Adam@one.test', 'Adam'],
    ['a_b@one.test', '100 % A_B'],
    ['axb@one.test', '100 per cent'],
    ['back\\slash@one.test', 'Back\\slash'],
    ['zoe@two.test', 'Zoë Ada'],
    ['gone@two.test', 'Gone', 'suspended'],
    ['old@two.test', 'Ada', 'deleted'],
  ]);
});

/** People with an address, a name, and a state, one a second from the beginning of 1999. */
async function insert(people: string[][]): Promise<void> {
  for (const [i, [email = '', name, state = 'active']] of people.entries()) {
    await sql(
      service.databaseUrl,
      `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at,
         updated_at, last_login_at)
       values (gen_random_uuid(), $1, lower($1), $2, $3, '{user}',
         timestamptz '1999-01-01' + $4::int * interval '1 second', now(),
         case when $4::int % 2 = 0 then timestamptz '1999-01-02' - $4::int * interval '1 second' end)`,
      [email, name, state, i],
    );
  }
}

async function emails(request: Request): Promise<string[]> {
  const { users } = await helper.admin.listUsers({ pageSize: 200, ...request });
  return users.map(({ email }) => email);
}

/** All pages, one after the other. */
async function pages(request: Request): Promise<string[][]> {
  const all: string[][] = [];
  let pageToken = '';
  do {
    const page = await helper.admin.listUsers({ ...request, pageToken });
    all.push(page.users.map(({ email }) => email));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

describe('ListUsers', () => {
  it('finds users by part of an address or a name, in any case', async () => {
    const found = ['zoe@two.test', 'ada@one.test', 'Adam@one.test'];
    for (const query of ['ada', 'ADA']) {
      assert.deepEqual((await emails({ query })).sort(), [...found].sort());
    }
    assert.deepEqual(await emails({ query: 'lovel' }), ['ada@one.test']);
    assert.deepEqual(await emails({ query: 'nobody at all' }), []);
  });

  it('finds users whose address or name begins with one or two characters', async () => {
    assert.deepEqual(await emails({ query: 'zo' }), ['zoe@two.test']);
    assert.deepEqual(await emails({ query: 'oe' }), []);
  });

  it('A06 treats %, _ and a backslash as letters', async () => {
    assert.deepEqual(await emails({ query: '%_%_%' }), []);
    assert.deepEqual(await emails({ query: '%%%' }), []);
    assert.deepEqual(await emails({ query: '%' }), []);
    assert.deepEqual(await emails({ query: '_' }), []);
    assert.deepEqual(await emails({ query: 'a_b' }), ['a_b@one.test']);
    assert.deepEqual(await emails({ query: '0 %' }), ['a_b@one.test']);
    assert.deepEqual(await emails({ query: 'k\\s' }), ['back\\slash@one.test']);
    assert.deepEqual(await emails({ query: `'; drop table accounts; --` }), []);
  });

  it('leaves out deleted users, and filters by state and role', async () => {
    assert.deepEqual(await emails({ query: 'two.test', orderBy: 'email' }), [
      'gone@two.test',
      'zoe@two.test',
    ]);
    assert.deepEqual(await emails({ state: UserState.SUSPENDED }), ['gone@two.test']);
    assert.deepEqual(await emails({ query: 'two', state: UserState.ACTIVE }), ['zoe@two.test']);
    assert.deepEqual(await emails({ role: 'support' }), [helper.email]);
    assert.deepEqual(await emails({ role: 'nobody' }), []);
    const refused = await refusal(helper.admin.listUsers({ state: UserState.DELETED }));
    assert.deepEqual(refused.fields, ['state']);
  });

  it('A06 orders only by the fields on its list', async () => {
    const byEmail = [
      'a_b@one.test',
      'ada@one.test',
      'Adam@one.test',
      'axb@one.test',
      'back\\slash@one.test',
    ];
    const query = 'one.test';
    assert.deepEqual(await emails({ query, orderBy: 'email' }), byEmail);
    assert.deepEqual(await emails({ query, orderBy: 'email desc' }), [...byEmail].reverse());
    const oldest = (await emails({ query, orderBy: ' created_at  asc ' })).at(0);
    assert.equal(oldest, 'ada@one.test');
    assert.deepEqual(await emails({ query }), await emails({ query, orderBy: 'created_at desc' }));
    const signedIn = await emails({ query, orderBy: 'last_login_at desc' });
    assert.deepEqual(signedIn.slice(0, 3), [
      'ada@one.test',
      'a_b@one.test',
      'back\\slash@one.test',
    ]);
    for (const orderBy of [
      'id',
      'password_hash',
      'email; drop table accounts',
      'email, id',
      'email DESC',
      '(select 1)',
      'constructor',
      '__proto__ desc',
    ]) {
      const refused = await refusal(helper.admin.listUsers({ orderBy }));
      assert.deepEqual(
        [refused.code, refused.fields],
        [Code.InvalidArgument, ['order_by']],
        orderBy,
      );
    }
  });

  it('leads from page to page in every order, and returns each user once', async () => {
    const all = (await emails({})).sort();
    for (const orderBy of ['', 'created_at', 'email', 'email desc', 'last_login_at desc']) {
      const found = await pages({ pageSize: 2, orderBy });
      assert.ok(found.slice(0, -1).every((page) => page.length === 2));
      assert.deepEqual(found.flat().sort(), all, orderBy);
    }
    assert.deepEqual(
      (await pages({ pageSize: 1, query: 'ada', orderBy: 'email' })).flat(),
      await emails({ query: 'ada', orderBy: 'email' }),
    );
  });

  it('A06 caps the page, and refuses page tokens that this query did not return', async () => {
    for (const pageSize of [-1, 201]) {
      const refused = await refusal(helper.admin.listUsers({ pageSize }));
      assert.deepEqual(refused.fields, ['page_size']);
    }
    const request = { pageSize: 1, query: 'ada', orderBy: 'email' };
    const { nextPageToken: pageToken } = await helper.admin.listUsers(request);
    const [version, position = '', tag] = pageToken.split('.');
    const moved = Buffer.from(position, 'base64url').toString().replace('ada', 'zzz');
    const forged = `${version}.${Buffer.from(moved).toString('base64url')}.${tag}`;
    for (const bad of [
      { ...request, pageToken: forged },
      { ...request, pageToken: `${pageToken}x` },
      { ...request, pageToken: 'a.b.c' },
      { ...request, pageToken, query: 'adam' },
      { ...request, pageToken, orderBy: 'email desc' },
      { ...request, pageToken, state: UserState.ACTIVE },
      { ...request, pageToken, role: 'user' },
    ]) {
      const refused = await refusal(helper.admin.listUsers(bad));
      assert.deepEqual([refused.code, refused.fields], [Code.InvalidArgument, ['page_token']]);
    }
    assert.deepEqual((await helper.admin.listUsers({ ...request, pageToken })).users.length, 1);
  });
});

describe('ListUsers, with many users', () => {
  before(async () => {
    await sql(
      service.databaseUrl,
      `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
       select gen_random_uuid(), 'user' || n || '@many.test', 'user' || n || '@many.test',
         case when n % 1000 = 7 then 'Needle ' || n when n > 27000 then 'Late' else 'Hay' end, 'active', '{user}',
         timestamptz '2001-01-01' + n * interval '1 second', now()
       from generate_series(1, 30000) n`,
    );
    await sql(service.databaseUrl, 'vacuum analyze accounts');
  });

  it('finds the few that match, whichever way it looks for them', async () => {
    const needles = Array.from({ length: 30 }, (_, i) => `user${i * 1000 + 7}@many.test`);
    const found = await pages({ query: 'needle', pageSize: 7, orderBy: 'created_at' });
    assert.deepEqual(found.flat(), needles);
    assert.equal(found.length, 5);
    const walked = await pages({ query: '7@many.', pageSize: 200, role: 'user', orderBy: 'email' });
    assert.equal(walked.flat().length, 3000);
    assert.equal(new Set(walked.flat()).size, 3000);
    assert.deepEqual((await pages({ query: '--', pageSize: 10 })).flat(), []);
  });

  it('A06 reads a bounded number of rows for a page, whatever the query', async () => {
    const found = await pages({ query: 'late', pageSize: 200, orderBy: 'created_at' });
    const looks = found.slice(0, 5).map(({ length }) => length);
    assert.deepEqual(looks, [0, 0, 0, 0, 0]);
    assert.equal(found[5]?.length, 200);
    assert.equal(new Set(found.flat()).size, 2997);
  });
});
