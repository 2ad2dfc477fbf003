import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import { UserState } from '../../../gen/countersign/v1/user_pb.ts';
import type { EraseAccountDeps } from '../../accounts/erase-account.ts';
import { Failure } from '../../platform/failure.ts';
import { createUser } from '../../users/create-user.ts';
import { deleteUser } from '../../users/delete-user.ts';
import { getUser } from '../../users/get-user.ts';
import { type ListUsersDeps, listUsers } from '../../users/list-users.ts';
import { reinstateUser } from '../../users/reinstate-user.ts';
import { revokeUserSessions } from '../../users/revoke-user-sessions.ts';
import { sendPasswordReset } from '../../users/send-password-reset.ts';
import { suspendUser } from '../../users/suspend-user.ts';
import { unlockUser } from '../../users/unlock-user.ts';
import { updateUser } from '../../users/update-user.ts';
import type { UserDeps } from '../../users/user-deps.ts';
import { callerOf } from '../call.ts';
import { userMessage } from '../messages/user-message.ts';
import { actorOf } from './own.ts';

export type UserMethodsDeps = UserDeps & ListUsersDeps & EraseAccountDeps;

type UserMethods =
  | 'listUsers'
  | 'getUser'
  | 'createUser'
  | 'updateUser'
  | 'suspendUser'
  | 'reinstateUser'
  | 'unlockUser'
  | 'deleteUser'
  | 'sendPasswordReset'
  | 'revokeUserSessions';

/** The methods of AdminService for users. */
export function userMethods(
  deps: UserMethodsDeps,
): Pick<ServiceImpl<typeof AdminService>, UserMethods> {
  return {
    async listUsers({ state, ...request }, context) {
      const search = { ...request, state: searchedState(state) };
      const { users, nextPageToken } = await listUsers(deps, callerOf(context), search);
      return { users: users.map(userMessage), nextPageToken };
    },

    async getUser({ userId }, context) {
      return { user: userMessage(await getUser(deps, callerOf(context), userId)) };
    },

    async createUser(request, context) {
      const user = await createUser(deps, callerOf(context), actorOf(context), request);
      return { user: userMessage(user) };
    },

    async updateUser({ user, updateMask }, context) {
      const { userId = '', displayName = '', email = '', etag = '' } = user ?? {};
      const update = { userId, displayName, email, etag, mask: updateMask?.paths ?? [] };
      const updated = await updateUser(deps, callerOf(context), actorOf(context), update);
      return { user: userMessage(updated) };
    },

    async suspendUser(request, context) {
      const user = await suspendUser(deps, callerOf(context), actorOf(context), request);
      return { user: userMessage(user) };
    },

    async reinstateUser({ userId }, context) {
      const user = await reinstateUser(deps, callerOf(context), actorOf(context), userId);
      return { user: userMessage(user) };
    },

    async unlockUser({ userId }, context) {
      const user = await unlockUser(deps, callerOf(context), actorOf(context), userId);
      return { user: userMessage(user) };
    },

    async deleteUser({ userId }, context) {
      await deleteUser(deps, callerOf(context), actorOf(context), userId);
      return {};
    },

    async sendPasswordReset({ userId }, context) {
      await sendPasswordReset(deps, callerOf(context), actorOf(context), userId);
      return {};
    },

    async revokeUserSessions({ userId }, context) {
      const actor = actorOf(context);
      return { revokedCount: await revokeUserSessions(deps, callerOf(context), actor, userId) };
    },
  };
}

/** The state that users are to be in. Who was deleted is nobody any more. */
export function searchedState(state: UserState): 'active' | 'suspended' | undefined {
  if (state === UserState.UNSPECIFIED) return undefined;
  if (state === UserState.ACTIVE) return 'active';
  if (state === UserState.SUSPENDED) return 'suspended';
  const description = 'is not searched for';
  throw new Failure('invalid', 'INVALID_REQUEST', `the state ${description}`, {
    fields: [{ path: 'state', description }],
  });
}
