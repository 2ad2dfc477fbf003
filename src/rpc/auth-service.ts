import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../gen/countersign/v1/auth_service_pb.ts';
import { TokensSchema } from '../../gen/countersign/v1/tokens_pb.ts';
import {
  type ResendVerificationDeps,
  resendVerification,
} from '../accounts/resend-verification.ts';
import { type SignUpDeps, signUp } from '../accounts/sign-up.ts';
import { type VerifyEmailDeps, verifyEmail } from '../accounts/verify-email.ts';
import { type LoginDeps, login } from '../login/login.ts';
import { type LogoutDeps, logout } from '../sessions/logout.ts';
import type { IssuedTokens } from '../sessions/open-session.ts';
import { type RefreshDeps, refreshToken } from '../sessions/refresh-token.ts';
import { callerOf, callOf } from './call.ts';
import { requirePrincipal } from './interceptors/access.ts';

export type AuthServiceDeps = SignUpDeps &
  VerifyEmailDeps &
  ResendVerificationDeps &
  LoginDeps &
  RefreshDeps &
  LogoutDeps;

export function authService(deps: AuthServiceDeps): ServiceImpl<typeof AuthService> {
  return {
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
      const tokens = await login(deps, callerOf(context), request);
      return { outcome: { case: 'tokens', value: tokensMessage(tokens) } };
    },

    async refreshToken({ refreshToken: presented }, context) {
      const tokens = await refreshToken(deps, callerOf(context), presented);
      return { tokens: tokensMessage(tokens) };
    },

    async logout({ refreshToken: presented }, context) {
      const call = callOf(context.values);
      // Asked again after the answer was lost: the caller's own session has ended already.
      if (presented === '' && call.refusal?.reason === 'TOKEN_REVOKED') return {};
      const ownSession = () => requirePrincipal(call).sessionId;
      await logout(deps, callerOf(context), presented, ownSession);
      return {};
    },
  };
}

function tokensMessage(tokens: IssuedTokens) {
  return create(TokensSchema, {
    accessToken: tokens.accessToken,
    tokenType: 'Bearer',
    expiresAt: timestampFromDate(tokens.expiresAt),
    refreshToken: tokens.refreshToken,
    refreshExpiresAt: timestampFromDate(tokens.refreshExpiresAt),
    sessionId: tokens.sessionId,
  });
}
