import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { AdminService } from '../../gen/countersign/v1/admin_service_pb.ts';
import { RoleSchema } from '../../gen/countersign/v1/role_pb.ts';
import { UserSchema } from '../../gen/countersign/v1/user_pb.ts';
import { withRoles } from '../administrators.ts';
import { newKey } from '../api-keys/keys.ts';
import { newEmail, signedIn, signIn, UNKNOWN_ID, userIdOf } from '../harness/people.ts';
import { refusal } from '../harness/refusal.ts';
import type { Service } from '../harness/service.ts';
import { keyIn } from '../signing-keys/operator.ts';
import type { Call, Changes } from './changes.ts';

const boss = async (service: Service) => (await withRoles(service, 'user', 'admin')).admin;

/** Whom it is done to. They have a session. */
async function somebody(service: Service) {
  const tokens = await signedIn(service);
  return { ...tokens, userId: userIdOf(tokens) };
}

async function* streamOf<T>(messages: readonly T[]) {
  yield* messages;
}

let names = 0;

/** A name of a role or permission that no other row uses. */
function newName(what: string): string {
  names += 1;
  return `${what}_${names}`;
}

async function newServiceAccount(admin: Awaited<ReturnType<typeof boss>>): Promise<string> {
  const { serviceAccount } = await admin.createServiceAccount({ displayName: 'Robot' });
  return serviceAccount?.serviceAccountId ?? '';
}

async function newRole(admin: Awaited<ReturnType<typeof boss>>): Promise<string> {
  const name = newName('clerk');
  await admin.createRole({ role: create(RoleSchema, { name, permissions: ['users.read'] }) });
  return name;
}

const user = (value: string) => ({ case: 'userId' as const, value });
const robot = (value: string) => ({ case: 'serviceAccountId' as const, value });

/** What each method of AdminService leaves in the trail. */
export const changesOfAdminService: Changes<typeof AdminService> = {
  listUsers: 'reads',
  getUser: 'reads',
  async createUser(service) {
    const admin = await boss(service);
    const email = newEmail();
    const call: Call = (options) => admin.createUser({ email, displayName: 'Ada' }, options);
    return { done: [[call, 'account.invited']], refused: [[call]] };
  },
  async updateUser(service) {
    const admin = await boss(service);
    const { userId } = await somebody(service);
    const { email } = await somebody(service);
    const update = (values: MessageInitShape<typeof UserSchema>): Call => {
      return (options) =>
        admin.updateUser({ user: create(UserSchema, { userId, ...values }) }, options);
    };
    const both = { displayName: 'Grace', email: newEmail() };
    return {
      done: [
        [update({ displayName: 'Ada' }), 'account.updated'],
        [update({ displayName: 'Ada' })],
        [update({ email: newEmail() }), 'account.email_changed', 'sessions.ended'],
        [update(both), 'account.email_changed', 'account.updated'],
        [update(both)],
      ],
      refused: [
        [update({ displayName: 'Eve', email })],
        [update({ displayName: 'Eve', etag: 'x' })],
      ],
    };
  },
  async suspendUser(service) {
    const admin = await boss(service);
    const { userId } = await somebody(service);
    const suspend = (userId: string): Call => {
      return (options) => admin.suspendUser({ userId, reason: 'spam' }, options);
    };
    return {
      done: [[suspend(userId), 'account.suspended', 'sessions.ended'], [suspend(userId)]],
      refused: [[suspend(UNKNOWN_ID)]],
    };
  },
  async reinstateUser(service) {
    const admin = await boss(service);
    const { userId } = await somebody(service);
    await admin.suspendUser({ userId });
    const reinstate = (userId: string): Call => {
      return (options) => admin.reinstateUser({ userId }, options);
    };
    return {
      done: [[reinstate(userId), 'account.reinstated'], [reinstate(userId)]],
      refused: [[reinstate(UNKNOWN_ID)]],
    };
  },
  async unlockUser(service) {
    const admin = await boss(service);
    const { userId, email } = await somebody(service);
    for (let i = 0; i < 5; i += 1) await refusal(signIn(service, email, 'wrong'));
    const unlock = (userId: string): Call => {
      return (options) => admin.unlockUser({ userId }, options);
    };
    return {
      done: [[unlock(userId), 'account.unlocked'], [unlock(userId)]],
      refused: [[unlock(UNKNOWN_ID)]],
    };
  },
  async deleteUser(service) {
    const admin = await boss(service);
    const owner = await somebody(service);
    await newKey(service, owner);
    await newKey(service, owner);
    const keys = ['api_key.revoked', 'api_key.revoked'];
    const call: Call = (options) => admin.deleteUser({ userId: owner.userId }, options);
    return {
      done: [[call, 'account.deleted', ...keys, 'sessions.ended']],
      refused: [[call]],
    };
  },
  async sendPasswordReset(service) {
    const admin = await boss(service);
    const { userId } = await somebody(service);
    const suspended = await somebody(service);
    await admin.suspendUser({ userId: suspended.userId });
    const send = (userId: string): Call => {
      return (options) => admin.sendPasswordReset({ userId }, options);
    };
    return {
      done: [[send(userId), 'account.password_reset_sent']],
      refused: [[send(suspended.userId)]],
    };
  },
  async revokeUserSessions(service) {
    const admin = await boss(service);
    const { userId, email } = await somebody(service);
    await signIn(service, email);
    const revoke = (userId: string): Call => {
      return (options) => admin.revokeUserSessions({ userId }, options);
    };
    return {
      done: [[revoke(userId), 'sessions.ended'], [revoke(userId)]],
      refused: [[revoke(UNKNOWN_ID)]],
    };
  },
  listRoles: 'reads',
  async createRole(service) {
    const admin = await boss(service);
    const role = create(RoleSchema, { name: newName('clerk'), permissions: ['users.read'] });
    const call: Call = (options) => admin.createRole({ role }, options);
    return { done: [[call, 'role.created']], refused: [[call]] };
  },
  async updateRole(service) {
    const admin = await boss(service);
    const name = await newRole(admin);
    await admin.grantRole({ holder: user((await somebody(service)).userId), role: name });
    const update = (values: MessageInitShape<typeof RoleSchema>): Call => {
      return (options) => admin.updateRole({ role: create(RoleSchema, values) }, options);
    };
    return {
      done: [
        [update({ name, permissions: ['roles.read'] }), 'role.updated'],
        [update({ name, permissions: ['roles.read'] })],
      ],
      refused: [
        [update({ name: 'support', permissions: ['roles.read'] })],
        [update({ name, description: 'Late', etag: 'x' })],
      ],
    };
  },
  async deleteRole(service) {
    const admin = await boss(service);
    const name = await newRole(admin);
    await admin.grantRole({ holder: user((await somebody(service)).userId), role: name });
    const call: Call = (options) => admin.deleteRole({ name }, options);
    return { done: [[call, 'role.deleted']], refused: [[call]] };
  },
  async grantRole(service) {
    const admin = await boss(service);
    const support = await withRoles(service, 'user', 'support');
    const role = await newRole(admin);
    const holders = [user((await somebody(service)).userId), robot(await newServiceAccount(admin))];
    const calls = holders.map(
      (holder): Call =>
        (options) =>
          admin.grantRole({ holder, role }, options),
    );
    const up = { holder: user(support.userId), role: 'admin' };
    return {
      done: [
        ...calls.map((call): [Call, string] => [call, 'role.granted']),
        ...calls.map((call): [Call] => [call]),
      ],
      refused: [
        [(options) => support.admin.grantRole(up, options)],
        [(options) => admin.grantRole({ ...up, role: newName('none') }, options)],
      ],
    };
  },
  async revokeRole(service) {
    const admin = await boss(service);
    const support = await withRoles(service, 'user', 'support');
    const role = await newRole(admin);
    const holders = [user((await somebody(service)).userId), robot(await newServiceAccount(admin))];
    for (const holder of holders) await admin.grantRole({ holder, role });
    const calls = holders.map(
      (holder): Call =>
        (options) =>
          admin.revokeRole({ holder, role }, options),
    );
    const mine = { holder: user(support.userId), role: 'support' };
    return {
      done: [
        ...calls.map((call): [Call, string] => [call, 'role.revoked']),
        ...calls.map((call): [Call] => [call]),
      ],
      refused: [[(options) => support.admin.revokeRole(mine, options)]],
    };
  },
  listPermissions: 'reads',
  async createPermission(service) {
    const admin = await boss(service);
    const permission = { name: `${newName('orders')}.read`, description: 'Of the shop.' };
    const call: Call = (options) => admin.createPermission({ permission }, options);
    return { done: [[call, 'permission.created']], refused: [[call]] };
  },
  async deletePermission(service) {
    const name = `${newName('orders')}.read`;
    const permission = { name, description: 'Of the shop.' };
    await (await boss(service)).createPermission({ permission });
    // A person who signs in later, and so holds it.
    const admin = await boss(service);
    const call: Call = (options) => admin.deletePermission({ name }, options);
    return { done: [[call, 'permission.deleted']], refused: [[call]] };
  },
  async createServiceAccount(service) {
    const admin = await boss(service);
    const support = await withRoles(service, 'user', 'support');
    const request = { displayName: 'Robot' };
    return {
      done: [
        [(options) => admin.createServiceAccount(request, options), 'service_account.created'],
      ],
      refused: [[(options) => support.admin.createServiceAccount(request, options)]],
    };
  },
  listScopeUse: 'reads',
  listShadowDenials: 'reads',
  getServiceAccount: 'reads',
  listServiceAccounts: 'reads',
  async deleteServiceAccount(service) {
    const who = await withRoles(service, 'user', 'admin');
    const serviceAccountId = await newServiceAccount(who.admin);
    await newKey(service, who, { serviceAccountId });
    const call: Call = (options) => who.admin.deleteServiceAccount({ serviceAccountId }, options);
    return { done: [[call, 'service_account.deleted']], refused: [[call]] };
  },
  async importUsers(service) {
    const admin = await boss(service);
    const email = newEmail();
    const sent = (email: string): Call => {
      const user = { message: { case: 'user' as const, value: { email, displayName: 'Ada' } } };
      return (options) => Array.fromAsync(admin.importUsers(streamOf([user]), options));
    };
    return {
      // Sent again, and with an invalid address, it changes nothing.
      done: [[sent(email), 'account.created', 'users.imported'], [sent(email)], [sent('nobody')]],
    };
  },
  async exportUsers(service) {
    const admin = await boss(service);
    const { accessToken } = await somebody(service);
    const other = service.client(AdminService, 'grpc', accessToken);
    const by = (who: typeof admin): Call => {
      return (options) => Array.fromAsync(who.exportUsers({}, options));
    };
    return { done: [[by(admin), 'users.exported']], refused: [[by(other)]] };
  },
  listSigningKeys: 'reads',
  async rotateSigningKey(service) {
    const admin = await boss(service);
    const { keyId: activeKeyId } = await keyIn(admin, 'ACTIVE');
    const rotate = (force: boolean, activeKeyId = ''): Call => {
      return (options) => admin.rotateSigningKey({ activeKeyId, force }, options);
    };
    return {
      refused: [[rotate(false)]],
      // The second time it has been done already.
      done: [[rotate(true, activeKeyId), 'signing_key.rotated'], [rotate(true, activeKeyId)]],
    };
  },
  async revokeSigningKey(service) {
    const admin = await boss(service);
    const { keyId } = await keyIn(admin, 'NEXT');
    const revoke = (keyId: string): Call => {
      return (options) => admin.revokeSigningKey({ keyId, reason: 'leaked' }, options);
    };
    return {
      done: [[revoke(keyId), 'signing_key.revoked'], [revoke(keyId)]],
      refused: [[revoke('a'.repeat(43))]],
    };
  },
};
