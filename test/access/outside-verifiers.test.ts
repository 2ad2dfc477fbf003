import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import type { Revocation } from '../../gen/countersign/v1/session_service_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { claimsOf, personWithNew } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { type Reader, reader } from '../revocations/revocation-readers.ts';
import { newRole, refreshed, updateRole } from './shop.ts';
import { isCommitting, slowCommits } from './slow-commits.ts';

/** How many holders a role has that are too many for one statement. */
const CROWD = 10_001;

let service: Service;
let replica: Service;
let boss: Administrator;

before(async () => {
  service = await startService({ env: { COUNTERSIGN_DB_STATEMENT_TIMEOUT: '20s' } });
  replica = await startReplica(service);
  boss = await withRoles(service, 'user', 'admin');
});

const scopesOf = (token: string) => String(claimsOf(token)['scope']).split(' ').filter(Boolean);

/** Whether a verifier refuses a token that knows the key set and the feed, and nothing else. */
function isRefused(told: Reader, token: string): boolean {
  const claims = claimsOf(token);
  return told.revocations.some(({ target }: Revocation) => {
    if (target.case !== 'subject' || target.value.subject !== claims['sub']) return false;
    const { tokenVersion, notBefore } = target.value;
    if (tokenVersion > 0) return Number(claims['token_version']) < Number(tokenVersion);
    return Number(claims['iat']) < Number(notBefore?.seconds) + (notBefore?.nanos ?? 0) / 1e9;
  });
}

describe('A verifier that reads scopes, when a role is narrowed', () => {
  it('S09 refuses what was issued by the wider role while the change committed slowly', async () => {
    const role = await newRole(boss, 'users.read', 'sessions.read');
    const clerk = await personWithNew(service, role);
    const watching = await reader(replica);
    const release = await slowCommits(service);
    const narrowed = updateRole(boss, { name: role, permissions: ['users.read'] }, ['permissions']);
    await eventually(() => isCommitting(service, '2500 milliseconds'));
    const { tokens } = await replica.auth.refreshToken({ refreshToken: clerk.refreshToken });
    const token = tokens?.accessToken ?? '';
    assert.deepEqual(scopesOf(token), ['sessions.read', 'users.read']);
    assert.equal(isRefused(watching, token), false);
    await release();
    await narrowed;
    await eventually(() => isRefused(watching, token));
  });

  it('S09 hears of each of very many holders', async () => {
    const role = await newRole(boss, 'users.read', 'sessions.read');
    await sql(
      service.databaseUrl,
      `insert into accounts (id, email, canonical_email, display_name, state, roles, created_at, updated_at)
       select lpad(to_hex(n), 32, '0')::uuid, n || '@crowd.test', n || '@crowd.test', 'Pat', 'active',
         array[$1::text], now(), now() from generate_series(1, ${CROWD}) n`,
      [role],
    );
    const clerk = await personWithNew(service, role);
    const watching = await reader(replica);
    await updateRole(boss, { name: role, permissions: ['users.read'] }, ['permissions']);
    await eventually(() => isRefused(watching, clerk.accessToken));
  });

  it('S09 gets no token by the wider role from a replica that has not looked lately', async () => {
    const role = await newRole(boss, 'users.read', 'sessions.read');
    const clerk = await personWithNew(replica, role);
    const holder = new pg.Client({ connectionString: service.databaseUrl });
    await holder.connect();
    atEnd(() => holder.end());
    await holder.query('begin; lock table permissions in access exclusive mode');
    await holder.query(`update roles set permissions = '{users.read}' where name = $1`, [role]);
    // Every replica has been looking for that long.
    await eventually(async () => {
      const looking = await sql(
        service.databaseUrl,
        `select 1 from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock' and clock_timestamp() - query_start > interval '1 second'`,
      );
      return looking.length >= 2;
    });
    const next = refreshed(replica, { ...clerk, admin: boss.admin });
    await eventually(async () => {
      const text = 'select 1 from sessions where id = $1 and refresh_generation = 1';
      return (await sql(service.databaseUrl, text, [clerk.sessionId])).length > 0;
    });
    await holder.query('commit');
    assert.deepEqual(scopesOf((await next).accessToken), ['users.read']);
  });
});
