import type { ServiceImpl } from '@connectrpc/connect';
import type { AccountService } from '../../../gen/countersign/v1/account_service_pb.ts';
import { changeEmail } from '../../accounts/change-email.ts';
import { confirmEmailChange } from '../../accounts/confirm-email-change.ts';
import { deleteMe } from '../../accounts/delete-me.ts';
import { exportMe } from '../../accounts/export-me.ts';
import { getMe } from '../../accounts/get-me.ts';
import { updateMe } from '../../accounts/update-me.ts';
import { changePassword } from '../../passwords/change-password.ts';
import { beginTotpEnrollment } from '../../second-factors/begin-totp-enrollment.ts';
import { confirmTotpEnrollment } from '../../second-factors/confirm-totp-enrollment.ts';
import { disableTotp } from '../../second-factors/disable-totp.ts';
import { regenerateRecoveryCodes } from '../../second-factors/regenerate-recovery-codes.ts';
import { callerOf } from '../call.ts';
import { userMessage } from '../messages/user-message.ts';
import type { Dependencies } from './dependencies.ts';
import { identityMethods } from './federation-methods.ts';
import { passkeyMethods } from './passkey-methods.ts';

export function accountService(deps: Dependencies): ServiceImpl<typeof AccountService> {
  return {
    async getMe(_request, context) {
      return { user: userMessage(await getMe(deps, callerOf(context))) };
    },

    async updateMe({ user, updateMask }, context) {
      const { displayName = '', locale = '', etag = '' } = user ?? {};
      const update = { displayName, locale, etag, mask: updateMask?.paths ?? [] };
      const updated = await updateMe(deps, callerOf(context), update);
      return { user: userMessage(updated) };
    },

    async changePassword(request, context) {
      await changePassword(deps, callerOf(context), request);
      return {};
    },

    async changeEmail({ newEmail }, context) {
      await changeEmail(deps, callerOf(context), newEmail);
      return {};
    },

    async confirmEmailChange({ token }, context) {
      await confirmEmailChange(deps, callerOf(context), token);
      return {};
    },

    async beginTotpEnrollment(_request, context) {
      const issuer = new URL(deps.tokens.issuer).host;
      const { secret, uri } = await beginTotpEnrollment(deps, callerOf(context), issuer);
      return { secret, otpauthUri: uri };
    },

    async confirmTotpEnrollment({ code }, context) {
      return { recoveryCodes: await confirmTotpEnrollment(deps, callerOf(context), code) };
    },

    async disableTotp(_request, context) {
      await disableTotp(deps, callerOf(context));
      return {};
    },

    async regenerateRecoveryCodes(_request, context) {
      return { recoveryCodes: await regenerateRecoveryCodes(deps, callerOf(context)) };
    },

    ...passkeyMethods(deps),

    ...identityMethods(deps),

    async exportMe(_request, context) {
      return { json: await exportMe(deps, callerOf(context)) };
    },

    async deleteMe(_request, context) {
      await deleteMe(deps, callerOf(context));
      return {};
    },
  };
}
