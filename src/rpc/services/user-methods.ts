import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/countersign/v1/admin_service_pb.ts';
import { UserState } from '../../../gen/countersign/v1/user_pb.ts';
import { invalidField } from '../../platform/invalid-field.ts';
import { createUser } from '../../users/create-user.ts';
import { deleteUser } from '../../users/delete-user.ts';
import { getUser } from '../../users/get-user.ts';
import { listUsers } from '../../users/list-users.ts';
import { reinstateUser } from '../../users/reinstate-user.ts';
import { revokeUserSessions } from '../../users/revoke-user-sessions.ts';
import { sendPasswordReset } from '../../users/send-password-reset.ts';
import { suspendUser } from '../../users/suspend-user.ts';
import { unlockUser } from '../../users/unlock-user.ts';
import { updateUser } from '../../users/update-user.ts';
import { callerOf } from '../call.ts';
import { userMessage } from '../messages/user-message.ts';
import type { Dependencies } from './dependencies.ts';

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
  deps: Dependencies,
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
      const user = await createUser(deps, callerOf(context), request);
      return { user: userMessage(user) };
    },

    async updateUser({ user, updateMask }, context) {
      const { userId = '', displayName = '', locale = '', email = '', etag = '' } = user ?? {};
      const mask = updateMask?.paths ?? [];
      const update = { userId, displayName, locale, email, etag, mask };
      const updated = await updateUser(deps, callerOf(context), update);
      return { user: userMessage(updated) };
    },

    async suspendUser(request, context) {
      const user = await suspendUser(deps, callerOf(context), request);
      return { user: userMessage(user) };
    },

    async reinstateUser({ userId }, context) {
      const user = await reinstateUser(deps, callerOf(context), userId);
      return { user: userMessage(user) };
    },

    async unlockUser({ userId }, context) {
      const user = await unlockUser(deps, callerOf(context), userId);
      return { user: userMessage(user) };
    },

    async deleteUser({ userId }, context) {
      await deleteUser(deps, callerOf(context), userId);
      return {};
    },

    async sendPasswordReset({ userId }, context) {
      await sendPasswordReset(deps, callerOf(context), userId);
      return {};
    },

    async revokeUserSessions({ userId }, context) {
      return { revokedCount: await revokeUserSessions(deps, callerOf(context), userId) };
    },
  };
}

/** The state to search for; deleted users can't be searched for. Throws `INVALID_REQUEST`. */
export function searchedState(state: UserState): 'active' | 'suspended' | undefined {
  if (state === UserState.UNSPECIFIED) return undefined;
  if (state === UserState.ACTIVE) return 'active';
  if (state === UserState.SUSPENDED) return 'suspended';
  throw invalidField('state', 'must be active or suspended: deleted users are gone');
}
