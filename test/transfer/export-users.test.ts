import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { UserState } from '../../gen/countersign/v1/user_pb.ts';
import type { PortableUser } from '../../gen/countersign/v1/user_transfer_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { PROTOCOLS } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import { type Service, startService } from '../harness/service.ts';
import { HASHES } from '../passwords/hashes.ts';

let service: Service;
let boss: Administrator;

before(async () => {
  service = await startService();
  boss = await withRoles(service, 'user', 'admin');
  async function* rows() {
    for (let i = 0; i < 2500; i += 1) {
      const value = {
        externalId: `old|${i}`,
        email: `${i}@export.example`,
        displayName: `Person ${i}`,
        locale: i % 500 === 0 ? 'pt-BR' : '',
        passwordHash: HASHES['bcrypt, $2b$'],
        roles: i % 500 === 0 ? ['auditor'] : [],
        state: i % 100 === 0 ? UserState.SUSPENDED : UserState.ACTIVE,
      };
      yield { message: { case: 'user' as const, value } };
    }
  }
  await Array.fromAsync(boss.admin.importUsers(rows()));
});

async function exported(filter: { state?: UserState; role?: string }): Promise<PortableUser[]> {
  const answers = await Array.fromAsync(boss.admin.exportUsers(filter));
  return answers.flatMap(({ user }) => (user ? [user] : []));
}

describe('ExportUsers', () => {
  it('returns every user once, the oldest account first, and no password hash', async () => {
    const users = await exported({});
    assert.equal(users.length, 2501);
    const ids = users.map(({ userId }) => userId);
    assert.deepEqual(ids, ids.toSorted());
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(users.every(({ passwordHash }) => passwordHash === ''));
    const user = users.find(({ externalId }) => externalId === 'old|500');
    assert.ok(user?.createdAt);
    assert.deepEqual(
      [user.email, user.emailVerified, user.displayName, user.roles, user.state, user.lastLoginAt],
      [
        '500@export.example',
        false,
        'Person 500',
        ['user', 'auditor'],
        UserState.SUSPENDED,
        undefined,
      ],
    );
    assert.equal(user.locale, 'pt-BR');
    assert.ok(users[0]?.lastLoginAt);
  });

  it('filters by state and role', async () => {
    assert.equal((await exported({ state: UserState.SUSPENDED })).length, 25);
    assert.equal((await exported({ role: 'auditor' })).length, 5);
    assert.equal((await exported({ state: UserState.ACTIVE, role: 'auditor' })).length, 0);
    const { reason, fields } = await refusal(exported({ state: UserState.DELETED }));
    assert.deepEqual([reason, fields], ['INVALID_REQUEST', ['state']]);
  });

  it('can be imported again without changes', async () => {
    const users = await exported({});
    async function* rows() {
      for (const value of users) yield { message: { case: 'user' as const, value } };
    }
    const answers = await Array.fromAsync(boss.admin.importUsers(rows()));
    assert.deepEqual(
      answers.map(({ userId }) => userId),
      users.map(({ userId }) => userId),
    );
  });

  it('E01 is recorded before the first user has left', async () => {
    const auditor = await withRoles(service, 'auditor');
    for await (const _ of auditor.admin.exportUsers({ role: 'admin' })) break;
    const [event] = await sql<{ details: unknown }>(
      service.databaseUrl,
      `select details from audit_events where type = 'users.exported' and actor = $1`,
      [auditor.userId],
    );
    assert.deepEqual(event?.details, { state: '', role: 'admin', password_hashes: false });
  });

  it('needs users.read', async () => {
    const nobody = await withRoles(service, 'user');
    const { code } = await refusal(Array.fromAsync(nobody.admin.exportUsers({})));
    assert.equal(code, Code.PermissionDenied);
  });

  for (const protocol of PROTOCOLS) {
    it(`streams over ${protocol}`, async () => {
      const admin = service.client(AdminService, protocol, boss.accessToken);
      assert.ok((await Array.fromAsync(admin.exportUsers({}))).length > 2500);
    });
  }
});
