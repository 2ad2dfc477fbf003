import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import pg from 'pg';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { type People, signUpPeople } from '../load/people.ts';
import type { Contestant, Row } from '../report/row.ts';
import { startOnPostgres } from '../service/replica.ts';

const USERS = 1_000_000;
const PAGE_SIZE = 50;
const PAGE = 10_000;
/** The largest page size, used to reach the page to measure. */
const STRIDE = 200;

type Admin = Client<typeof AdminService>;

/** Page 10,000 of a million users, against the first page. */
export const listUsers: Row = {
  name: 'ListUsers',
  about: 'AdminService/ListUsers, page 10,000 of 1,000,000 users, PostgreSQL, against page 1',
  target: 0.67,
  async prepare(cleanups, options) {
    const service = await startOnPostgres(cleanups, options);
    const people = await signUpPeople(service.grpcAddress);
    await addUsers(service.databaseUrl, people);
    const admin = adminClient(service.grpcAddress, (await people.signIn()).accessToken);
    return [
      pages(`page ${PAGE}`, admin, await tokenOfPage(admin, PAGE)),
      pages('page 1', admin, ''),
    ];
  },
};

/** Adds a million users, and makes those who sign in administrators. */
async function addUsers(databaseUrl: string, { emails }: People): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`update accounts set roles = '{user,admin}'`);
  await client.query(
    `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
     select gen_random_uuid(), address, address, 'Person ' || md5(address), 'active', '{user}',
       now() - n * interval '1 second', now()
     from (select n, 'user-' || n || '@' || split_part($1, '@', 2) as address
           from generate_series(1, ${USERS}) n) people`,
    [emails[0]],
  );
  await client.query('vacuum analyze accounts');
  await client.end();
}

function adminClient(address: string, accessToken: string): Admin {
  const transport = createGrpcTransport({
    baseUrl: `http://${address}`,
    interceptors: [
      (next) => (req) => {
        req.header.set('authorization', `Bearer ${accessToken}`);
        return next(req);
      },
    ],
  });
  return createClient(AdminService, transport);
}

async function tokenOfPage(admin: Admin, page: number): Promise<string> {
  let pageToken = '';
  for (let before = (page - 1) * PAGE_SIZE; before > 0; before -= STRIDE) {
    const pageSize = Math.min(before, STRIDE);
    pageToken = (await admin.listUsers({ pageSize, pageToken })).nextPageToken;
  }
  return pageToken;
}

function pages(name: string, admin: Admin, pageToken: string): Contestant {
  const read = async () => {
    const { users } = await admin.listUsers({ pageSize: PAGE_SIZE, pageToken });
    if (users.length !== PAGE_SIZE) throw new Error(`${name} has ${users.length} users`);
  };
  return {
    name,
    check: read,
    async perSecond(seconds) {
      const startedAt = performance.now();
      let done = 0;
      for (; performance.now() - startedAt < seconds * 1000; done += 1) await read();
      return done / ((performance.now() - startedAt) / 1000);
    },
  };
}
