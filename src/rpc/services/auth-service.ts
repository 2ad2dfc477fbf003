import type { ServiceImpl } from '@connectrpc/connect';
import type {
  AuthService,
  CompleteMfaRequest,
  ReauthenticateRequest,
} from '../../../gen/countersign/v1/auth_service_pb.ts';
import { resendVerification } from '../../accounts/resend-verification.ts';
import { secureAccount } from '../../accounts/secure-account.ts';
import { signUp } from '../../accounts/sign-up.ts';
import { verifyEmail } from '../../accounts/verify-email.ts';
import { completeMfa } from '../../login/complete-mfa.ts';
import { login } from '../../login/login.ts';
import { type Proof, reauthenticate } from '../../login/reauthenticate.ts';
import type { SecondFactor } from '../../login/second-factor.ts';
import { requestPasswordReset } from '../../passwords/request-password-reset.ts';
import { resetPassword } from '../../passwords/reset-password.ts';
import { logout } from '../../sessions/logout.ts';
import { refreshToken } from '../../sessions/refresh-token.ts';
import { callerOf, callOf } from '../call.ts';
import { requirePrincipal } from '../interceptors/access.ts';
import { loginOutcome } from '../messages/login-outcome.ts';
import { freshTokenMessage, tokensMessage } from '../messages/tokens-message.ts';
import type { Dependencies } from './dependencies.ts';
import { exchangeMethods } from './exchange-methods.ts';
import { federatedLoginMethods } from './federation-methods.ts';
import { passkeyLoginMethods } from './passkey-methods.ts';

export function authService(deps: Dependencies): ServiceImpl<typeof AuthService> {
  return deps.signInCounts.counting({
    async signUp(request, context) {
      await signUp(deps, callerOf(context), request);
      return {};
    },

    async verifyEmail({ token }, context) {
      await verifyEmail(deps, callerOf(context), token);
      return {};
    },

    async resendVerification({ email }, context) {
      await resendVerification(deps, callerOf(context), email);
      return {};
    },

    async login(request, context) {
      return { outcome: loginOutcome(await login(deps, callerOf(context), request)) };
    },

    async completeMfa({ challengeToken, factor }, context) {
      const request = { challengeToken, factor: factorOf(factor) };
      return { tokens: tokensMessage(await completeMfa(deps, callerOf(context), request)) };
    },

    ...passkeyLoginMethods(deps),

    ...federatedLoginMethods(deps),

    async reauthenticate({ proof }, context) {
      const token = await reauthenticate(deps, callerOf(context), proofOf(proof));
      return { tokens: freshTokenMessage(token) };
    },

    async requestPasswordReset({ email }, context) {
      await requestPasswordReset(deps, callerOf(context), email);
      return {};
    },

    async resetPassword({ token, newPassword }, context) {
      await resetPassword(deps, callerOf(context), { token, newPassword });
      return {};
    },

    async secureAccount({ token }, context) {
      await secureAccount(deps, callerOf(context), token);
      return {};
    },

    async refreshToken({ refreshToken: presented }, context) {
      const tokens = await refreshToken(deps, callerOf(context), presented);
      return { tokens: tokensMessage(tokens) };
    },

    ...exchangeMethods(deps),

    async logout({ refreshToken: presented }, context) {
      if (presented === '') {
        const call = callOf(context.values);
        // The browser has no session: another page of it has signed out.
        if (call.sessionMode !== undefined && call.credential === undefined) return {};
        // The answer was lost and the client asks again: its own session has ended already.
        if (call.refusal?.reason === 'TOKEN_REVOKED') return {};
        requirePrincipal(call);
      }
      await logout(deps, callerOf(context), presented);
      return {};
    },
  });
}

/** The second factor or the proof in a request. The validation rules refuse a request without one. */
function factorOf(factor: CompleteMfaRequest['factor']): SecondFactor {
  switch (factor.case) {
    case 'recoveryCode':
      return { kind: 'recovery_code', code: factor.value };
    case 'passkeyCredentialJson':
      return { kind: 'passkey', credentialJson: factor.value };
    default:
      return { kind: 'totp', code: factor.value ?? '' };
  }
}

function proofOf(proof: ReauthenticateRequest['proof']): Proof {
  return proof.case === 'password' ? { kind: 'password', password: proof.value } : factorOf(proof);
}
