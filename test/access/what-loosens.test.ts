import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type Client, Code } from '@connectrpc/connect';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { RoleSchema } from '../../gen/countersign/v1/role_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { accessRule } from '../../src/rpc/interceptors/access.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { keysOf, newKey, newRobot } from '../api-keys/keys.ts';
import { everyMethod } from '../every-service.ts';
import { sql } from '../harness/database.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { newRole, refreshed, startShop, user } from './shop.ts';

let service: Service;
let boss: Administrator;
/** What can be loosened: each can do `audit.read`, which no narrow caller holds, or more. */
let things: { userId: string; robot: string; keyId: string; role: string };

before(async () => {
  ({ service, boss } = await startShop());
  const { userId } = await withRoles(service, 'user', 'admin');
  const robot = await newRobot(service, 'auditor');
  const { id: keyId } = await newKey(service, boss, {
    scopes: ['audit.read'],
    serviceAccountId: robot,
    allowedCidrs: ['192.0.2.0/24'],
    expiresAt: seconds(86_400_000),
    rateLimit: { requests: 5, per: { seconds: 60n } },
  });
  things = { userId, robot, keyId, role: await newRole(boss, 'audit.read') };
});

const seconds = (ms: number) => ({
  seconds: BigInt(Math.ceil((service.clock.now().getTime() + ms) / 1000)),
});

type Callers = { admin: Client<typeof AdminService>; keys: Client<typeof ApiKeyService> };
type Attempt = (by: Callers) => Promise<unknown>;

const update = (change: object, ...paths: string[]): Attempt => {
  return ({ keys }) =>
    keys.updateApiKey({ apiKey: { apiKeyId: things.keyId, ...change }, updateMask: { paths } });
};

/** The methods that loosen something, with the one permission of a narrow caller. */
const LOOSENING: Record<string, [permission: string, attempts: Record<string, Attempt>]> = {
  updateUser: [
    'users.write',
    {
      name: ({ admin }) =>
        admin.updateUser({ user: create(UserSchema, { userId: things.userId, displayName: 'x' }) }),
    },
  ],
  suspendUser: ['users.write', { it: ({ admin }) => admin.suspendUser(things) }],
  reinstateUser: ['users.write', { it: ({ admin }) => admin.reinstateUser(things) }],
  unlockUser: ['users.write', { it: ({ admin }) => admin.unlockUser(things) }],
  sendPasswordReset: ['users.write', { it: ({ admin }) => admin.sendPasswordReset(things) }],
  deleteUser: ['users.write', { it: ({ admin }) => admin.deleteUser(things) }],
  createRole: [
    'roles.write',
    {
      it: ({ admin }) =>
        admin.createRole({
          role: create(RoleSchema, { name: 'bypass', permissions: ['audit.read'] }),
        }),
    },
  ],
  updateRole: [
    'roles.write',
    {
      it: ({ admin }) =>
        admin.updateRole({
          role: create(RoleSchema, { name: things.role, permissions: ['roles.write'] }),
        }),
    },
  ],
  deleteRole: ['roles.write', { it: ({ admin }) => admin.deleteRole({ name: things.role }) }],
  grantRole: [
    'roles.write',
    { it: ({ admin }) => admin.grantRole({ holder: user(things.userId), role: things.role }) },
  ],
  revokeRole: [
    'roles.write',
    { it: ({ admin }) => admin.revokeRole({ holder: user(things.userId), role: 'admin' }) },
  ],
  deletePermission: [
    'roles.write',
    { it: ({ admin }) => admin.deletePermission({ name: 'orders.read' }) },
  ],
  deleteServiceAccount: [
    'service_accounts.write',
    { it: ({ admin }) => admin.deleteServiceAccount({ serviceAccountId: things.robot }) },
  ],
  createApiKey: [
    'api_keys.write',
    {
      it: ({ keys }) =>
        keys.createApiKey({
          displayName: 'x',
          scopes: ['audit.read'],
          serviceAccountId: things.robot,
        }),
    },
  ],
  updateApiKey: [
    'api_keys.write',
    {
      'no networks': update({}, 'allowed_cidrs'),
      'other networks': update({ allowedCidrs: ['198.51.100.0/24'] }, 'allowed_cidrs'),
      'a wider network': update({ allowedCidrs: ['192.0.0.0/16'] }, 'allowed_cidrs'),
      'one network more': update({ allowedCidrs: ['192.0.2.7', '::1'] }, 'allowed_cidrs'),
      'no expiry': update({}, 'expires_at'),
      'a later expiry': (by) => update({ expiresAt: seconds(2 * 86_400_000) }, 'expires_at')(by),
      'no limit': update({}, 'rate_limit'),
      'a higher limit': update({ rateLimit: { requests: 6, per: { seconds: 60n } } }, 'rate_limit'),
      'a shorter window': update(
        { rateLimit: { requests: 5, per: { seconds: 1n } } },
        'rate_limit',
      ),
      'scopes of its own': update({ scopes: ['audit.read', 'users.read'] }, 'scopes'),
    },
  ],
  rotateApiKey: [
    'api_keys.write',
    { it: ({ keys }) => keys.rotateApiKey({ apiKeyId: things.keyId }) },
  ],
};

/** Why the other methods that change something let nothing existing do more. */
const NOT_LOOSENING: Record<string, string> = {
  createUser: 'whoever is invited has no permission',
  importUsers: 'test/transfer/import-users.test.ts has its own table of roles',
  createPermission: 'it is in no role but that of the administrators',
  createServiceAccount: 'it has no role',
  rotateSigningKey: 'signing keys belong to nobody',
  revokeSigningKey: 'it narrows',
  revokeApiKey: 'it narrows',
  createWebhook: 'webhooks are told what has happened, and can do nothing',
  updateWebhook: 'webhooks can do nothing',
  deleteWebhook: 'webhooks can do nothing',
  rotateWebhookSecret: 'webhooks can do nothing',
  redeliverWebhook: 'webhooks can do nothing',
  testWebhook: 'webhooks can do nothing',
  getApiKey: 'it reads',
  listApiKeys: 'it reads',
};

async function narrow(permission: string): Promise<Callers> {
  const role = await newRole(boss, permission);
  const who = await withRoles(service, 'user', role);
  return { admin: who.admin, keys: keysOf(service, who) };
}

describe('A caller with one permission', () => {
  for (const [method, [permission, attempts]] of Object.entries(LOOSENING)) {
    for (const [what, attempt] of Object.entries(attempts)) {
      it(`A08 can't loosen by ${method} (${what}) anything that can do more`, async () => {
        const refused = await refusal(attempt(await narrow(permission)));
        assert.deepEqual(
          [Code[refused.code], refused.reason],
          ['PermissionDenied', 'PERMISSION_DENIED'],
        );
        assert.ok(refused.metadata['permission']);
        assert.notEqual(refused.metadata['permission'], permission);
      });
    }
  }

  it('A08 is tried with every method that writes', async () => {
    const writing = everyMethod().filter((method) => {
      const { case: kind, value } = accessRule(method)?.caller ?? {};
      if (kind === 'permission') return String(value).endsWith('.write');
      return kind === 'signedIn' && method.parent === ApiKeyService;
    });
    const names = writing.map(({ localName }) => localName).sort();
    assert.deepEqual([...Object.keys(LOOSENING), ...Object.keys(NOT_LOOSENING)].sort(), names);
  });

  it('A08 can narrow and rename a key that can do more', async () => {
    const by = await narrow('api_keys.write');
    for (const attempt of [
      update({ displayName: 'renamed' }, 'display_name'),
      update({ rateLimit: { requests: 4, per: { seconds: 60n } } }, 'rate_limit'),
      update({ expiresAt: seconds(3_600_000) }, 'expires_at'),
    ]) {
      await attempt(by);
    }
    for (const allowedCidrs of [
      ['192.0.2.0/25', '192.0.2.192/26'],
      ['::ffff:192.0.2.0/122', '192.0.2.200'],
      ['192.0.2.1'],
    ]) {
      await update({ allowedCidrs }, 'allowed_cidrs')(by);
    }
    await update({ scopes: [] }, 'scopes')(by);
    // Now it can do nothing, and anyone who manages keys may open it.
    await update({}, 'allowed_cidrs', 'expires_at', 'rate_limit')(by);
  });
});

describe('An API key of an administrator', () => {
  it('A08 acts on its owner no further than its scopes', async () => {
    const owner = await withRoles(service, 'user', 'admin');
    const { userId } = owner;
    const { secret } = await newKey(service, owner, { scopes: ['users.write'] });
    const admin = service.client(AdminService, 'grpc', secret);
    for (const attempt of [
      () => admin.suspendUser({ userId }),
      () => admin.reinstateUser({ userId }),
      () => admin.unlockUser({ userId }),
      () => admin.sendPasswordReset({ userId }),
    ]) {
      assert.equal((await refusal(attempt())).reason, 'PERMISSION_DENIED');
    }
    const [row] = await sql<{ state: string }>(
      service.databaseUrl,
      'select state from accounts where id = $1',
      [userId],
    );
    assert.equal(row?.state, 'active');
    await owner.admin.unlockUser({ userId });
  });
});

describe('An administrator', () => {
  it('A08 may loosen what they can do themselves', async () => {
    boss = await refreshed(service, boss);
    const { id } = await newKey(service, boss, {
      scopes: ['audit.read'],
      allowedCidrs: ['192.0.2.0/24'],
    });
    const { apiKey } = await keysOf(service, boss).updateApiKey({
      apiKey: { apiKeyId: id },
      updateMask: { paths: ['allowed_cidrs'] },
    });
    assert.deepEqual(apiKey?.allowedCidrs, []);
    await boss.admin.deletePermission({ name: 'orders.read' });
  });
});
