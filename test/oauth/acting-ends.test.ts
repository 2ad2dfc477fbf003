import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AccountService } from '../../gen/countersign/v1/account_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { type Administrator, withRoles } from '../administrators.ts';
import { keysOf, newKey, newRobot } from '../api-keys/keys.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, PASSWORD, type Person, person, signIn } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { bearer, check } from '../mesh/asking.ts';
import { post } from './asking.ts';
import { type Acting, AUDIENCES, acting, ORDERS, PAYMENTS } from './delegation.ts';

const OWN = 'https://issuer.test';

let service: Service;
let replica: Service;
let boss: Administrator;

before(async () => {
  service = await startService({ env: AUDIENCES });
  replica = await startReplica(service);
  boss = await withRoles(service, 'user', 'admin');
});

describe('The end of a token with which a service acts for a user', () => {
  /** What /oauth2/introspect says, to a trusted caller. */
  const told = async (at: Service, token: string) =>
    (await post(at, '/oauth2/introspect', { token })).body;

  /** A user's token after one hop and after two, with all who are involved. */
  async function chain() {
    const user = await person(service, 'user', 'admin');
    const [first, second] = [
      await acting(service, boss, ['users.read', 'audit.read']),
      await acting(service, boss, ['users.read', 'audit.read']),
    ];
    const one = await first.exchange(user.accessToken);
    const two = await second.exchange(one, { audience: PAYMENTS });
    for (const token of [one, two]) assert.equal(await isActive(replica, token), true);
    return { user, first, second, one, two };
  }

  const ends: [string, (made: { user: Person; first: Acting }) => Promise<unknown>][] = [
    ['the user signs out', ({ user }) => service.auth.logout({ refreshToken: user.refreshToken })],
    ['the user is suspended', ({ user }) => boss.admin.suspendUser({ userId: user.userId })],
    ['the user is deleted', ({ user }) => boss.admin.deleteUser({ userId: user.userId })],
    [
      "the user's password is changed",
      async ({ user }) => {
        const { accessToken } = await signIn(service, user.email);
        const account = service.client(AccountService, 'grpc', accessToken);
        await account.changePassword({
          ...{ currentPassword: PASSWORD, newPassword: `${PASSWORD} two` },
        });
      },
    ],
    [
      "the user's session is ended by an administrator",
      ({ user }) => boss.admin.revokeUserSessions({ userId: user.userId }),
    ],
    [
      'the user loses a role',
      ({ user }) =>
        boss.admin.revokeRole({
          holder: { case: 'userId', value: user.userId },
          role: 'admin',
        }),
    ],
    [
      "the service's key is revoked",
      ({ first }) => keysOf(service, boss).revokeApiKey({ apiKeyId: first.keyId }),
    ],
    [
      "the service's key is narrowed",
      ({ first }) =>
        keysOf(service, boss).updateApiKey({
          apiKey: { apiKeyId: first.keyId, scopes: ['tokens.exchange', 'users.read'] },
          updateMask: { paths: ['scopes'] },
        }),
    ],
    [
      'the service loses a role',
      ({ first }) =>
        boss.admin.revokeRole({
          holder: { case: 'serviceAccountId', value: first.robot },
          role: 'admin',
        }),
    ],
    [
      'the service is deleted',
      ({ first }) => boss.admin.deleteServiceAccount({ serviceAccountId: first.robot }),
    ],
  ];
  for (const [what, end] of ends) {
    it(`A09 S09 ends when ${what}, on every replica and through every hop`, async () => {
      const { user, first, second, one, two } = await chain();
      await end({ user, first });
      for (const token of [one, two]) {
        assert.equal(await isActive(service, token), false);
        await eventually(async () => !(await isActive(replica, token)));
        for (const at of [service, replica]) {
          assert.deepEqual(await told(at, token), { active: false });
        }
      }
      const audience = `audience=${encodeURIComponent(ORDERS)}`;
      const url = `http://${replica.app.httpAddress}/verify?${audience}`;
      assert.equal((await fetch(url, { headers: bearer(one) })).status, 401);
      const asked = { headers: bearer(two), settings: { audience: PAYMENTS } };
      assert.notEqual((await check(replica, asked)).code, 0);
      await assert.rejects(second.exchange(one, { audience: PAYMENTS }));
    });
  }

  it("A09 S09 ends with its subject's API key, where that was exchanged", async () => {
    const subject = await newRobot(service, 'admin');
    const settings = { serviceAccountId: subject, scopes: ['users.read'] };
    const keys = service.client(ApiKeyService);
    const robot = await acting(service, boss, ['users.read']);
    const ends: ((apiKeyId: string) => Promise<unknown>)[] = [
      (apiKeyId) => keysOf(service, boss).revokeApiKey({ apiKeyId }),
      () =>
        boss.admin.revokeRole({
          ...{ holder: { case: 'serviceAccountId', value: subject }, role: 'admin' },
        }),
    ];
    for (const end of ends) {
      const { id, secret } = await newKey(service, boss, settings);
      const { accessToken } = await keys.exchangeApiKey({ secret, audience: OWN });
      const token = await robot.exchange(accessToken);
      assert.equal((await told(replica, token))['sub'], subject);
      await end(id);
      assert.deepEqual(await told(service, token), { active: false });
      await eventually(async () => (await told(replica, token))['active'] === false);
    }
  });

  it('stays when only the token that it was exchanged for is revoked, to the end of its session', async () => {
    const user = await person(service, 'user', 'admin');
    const robot = await acting(service, boss, ['users.read']);
    const token = await robot.exchange(user.accessToken);
    await post(service, '/oauth2/revoke', { token: user.accessToken });
    assert.deepEqual(await told(service, user.accessToken), { active: false });
    assert.equal((await told(service, token))['active'], true);
    await post(service, '/oauth2/revoke', { token: user.refreshToken });
    assert.deepEqual(await told(service, token), { active: false });
  });
});
