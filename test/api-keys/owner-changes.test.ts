import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { ApiKeyReason, ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { eventually } from '../harness/eventually.ts';
import { isActive, type Person, person } from '../harness/people.ts';
import { type Service, startReplica, startService } from '../harness/service.ts';
import { newKey, verify } from './keys.ts';

let service: Service;
let replica: Service;
let admin: Person;

before(async () => {
  service = await startService();
  replica = await startReplica(service);
  admin = await person(service, 'user', 'admin');
});

/** A key of a new person with this role, and a token that it was exchanged for. */
async function keyOf(role: string, scopes: string[]) {
  const owner = await person(service, 'user', role);
  const { secret } = await newKey(service, owner, { scopes });
  const keys = service.client(ApiKeyService);
  const { accessToken } = await keys.exchangeApiKey({ secret, audience: 'https://orders.test' });
  for (const at of [service, replica]) {
    assert.equal((await verify(at, secret)).valid, true);
    assert.equal((await at.sessions.introspectToken({ token: accessToken })).active, true);
  }
  return { owner, secret, token: accessToken };
}

const holderOf = ({ userId }: Person) => ({ case: 'userId', value: userId }) as const;
const administer = () => service.client(AdminService, 'grpc', admin.accessToken);

async function everywhere(holds: (at: Service) => Promise<boolean>): Promise<void> {
  await Promise.all([service, replica].map((at) => eventually(() => holds(at))));
}

describe('A change to the owner of a key, by an administrator', () => {
  it('S09 refuses the keys of a suspended user and the tokens they were exchanged for', async () => {
    const { owner, secret, token } = await keyOf('auditor', ['users.read']);
    await administer().suspendUser({ userId: owner.userId, reason: 'test' });
    await everywhere(async (at) => {
      const { reason } = await verify(at, secret);
      return reason === ApiKeyReason.OWNER_INACTIVE && !(await isActive(at, token));
    });
    await administer().reinstateUser({ userId: owner.userId });
    await everywhere(async (at) => (await verify(at, secret)).valid);
  });

  it('S09 A01 takes from a key what a revoked role allowed, and ends its tokens', async () => {
    const { owner, secret, token } = await keyOf('auditor', ['users.read']);
    await administer().revokeRole({ holder: holderOf(owner), role: 'auditor' });
    await everywhere(async (at) => {
      const { principal } = await verify(at, secret);
      return principal?.scopes.length === 0 && !(await isActive(at, token));
    });
    await administer().grantRole({ holder: holderOf(owner), role: 'auditor' });
    await everywhere(async (at) => (await verify(at, secret)).principal?.scopes.length === 1);
  });

  it('S09 revokes the keys of a user who is deleted', async () => {
    const { owner, secret, token } = await keyOf('auditor', []);
    await administer().deleteUser({ userId: owner.userId });
    await everywhere(async (at) => {
      const { reason } = await verify(at, secret);
      return reason === ApiKeyReason.REVOKED && !(await isActive(at, token));
    });
  });

  it('S09 refuses the keys of a service account that is deleted, and their tokens', async () => {
    const client = administer();
    const { serviceAccount } = await client.createServiceAccount({ displayName: 'robot' });
    const id = serviceAccount?.serviceAccountId ?? '';
    await client.grantRole({ holder: { case: 'serviceAccountId', value: id }, role: 'auditor' });
    const request = { serviceAccountId: id, scopes: ['users.read'] };
    const { secret } = await newKey(service, admin, request);
    const keys = service.client(ApiKeyService);
    const token = await keys.exchangeApiKey({ secret, audience: 'https://orders.test' });
    const { principal } = await replica.sessions.introspectToken({ token: token.accessToken });
    assert.deepEqual([principal?.type, principal?.subject], [2, id]);
    await client.deleteServiceAccount({ serviceAccountId: id });
    await everywhere(async (at) => {
      const { reason } = await verify(at, secret);
      return reason === ApiKeyReason.OWNER_INACTIVE && !(await isActive(at, token.accessToken));
    });
  });
});
