import type { ServiceImpl } from '@connectrpc/connect';
import type { AccountService } from '../../../gen/countersign/v1/account_service_pb.ts';
import { changeEmail } from '../../accounts/change-email.ts';
import { confirmEmailChange } from '../../accounts/confirm-email-change.ts';
import { deleteMe } from '../../accounts/delete-me.ts';
import type { EraseAccountDeps } from '../../accounts/erase-account.ts';
import { exportMe } from '../../accounts/export-me.ts';
import { getMe } from '../../accounts/get-me.ts';
import { updateMe } from '../../accounts/update-me.ts';
import { type ChangePasswordDeps, changePassword } from '../../passwords/change-password.ts';
import { beginTotpEnrollment } from '../../second-factors/begin-totp-enrollment.ts';
import {
  type ConfirmTotpDeps,
  confirmTotpEnrollment,
} from '../../second-factors/confirm-totp-enrollment.ts';
import { disableTotp } from '../../second-factors/disable-totp.ts';
import { regenerateRecoveryCodes } from '../../second-factors/regenerate-recovery-codes.ts';
import { callerOf, callOf } from '../call.ts';
import { userMessage } from '../messages/user-message.ts';
import { ownOf } from './own.ts';
import { type PasskeyMethodsDeps, passkeyMethods } from './passkey-methods.ts';

export type AccountServiceDeps = ChangePasswordDeps &
  ConfirmTotpDeps &
  EraseAccountDeps &
  PasskeyMethodsDeps & { tokens: { issuer: string } };

export function accountService(deps: AccountServiceDeps): ServiceImpl<typeof AccountService> {
  return {
    async getMe(_request, context) {
      return { user: userMessage(await getMe(deps, callerOf(context), ownOf(context).accountId)) };
    },

    async updateMe({ user, updateMask }, context) {
      const { displayName = '', etag = '' } = user ?? {};
      const update = { displayName, etag, mask: updateMask?.paths ?? [] };
      const updated = await updateMe(deps, callerOf(context), ownOf(context).accountId, update);
      return { user: userMessage(updated) };
    },

    async changePassword(request, context) {
      await changePassword(deps, callerOf(context), ownOf(context), request);
      return {};
    },

    async changeEmail({ newEmail }, context) {
      await changeEmail(deps, callerOf(context), ownOf(context).accountId, newEmail);
      return {};
    },

    async confirmEmailChange({ token }, context) {
      const own = callOf(context.values).principal ? ownOf(context) : undefined;
      await confirmEmailChange(deps, callerOf(context), token, own);
      return {};
    },

    async beginTotpEnrollment(_request, context) {
      const { accountId } = ownOf(context);
      const issuer = new URL(deps.tokens.issuer).host;
      const { secret, uri } = await beginTotpEnrollment(deps, callerOf(context), accountId, issuer);
      return { secret, otpauthUri: uri };
    },

    async confirmTotpEnrollment({ code }, context) {
      const own = ownOf(context);
      return { recoveryCodes: await confirmTotpEnrollment(deps, callerOf(context), own, code) };
    },

    async disableTotp(_request, context) {
      await disableTotp(deps, callerOf(context), ownOf(context).accountId);
      return {};
    },

    async regenerateRecoveryCodes(_request, context) {
      const { accountId } = ownOf(context);
      return { recoveryCodes: await regenerateRecoveryCodes(deps, callerOf(context), accountId) };
    },

    ...passkeyMethods(deps),

    async exportMe(_request, context) {
      return { json: await exportMe(deps, callerOf(context), ownOf(context).accountId) };
    },

    async deleteMe(_request, context) {
      await deleteMe(deps, callerOf(context), ownOf(context).accountId);
      return {};
    },
  };
}
