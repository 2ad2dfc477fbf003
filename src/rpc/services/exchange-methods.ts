import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../../gen/countersign/v1/auth_service_pb.ts';
import { exchangeToken } from '../../oauth/exchange-token.ts';
import { exchangeWorkloadToken } from '../../oauth/exchange-workload-token.ts';
import type { Principal } from '../../sessions/principal.ts';
import { type Call, callerOf, callOf } from '../call.ts';
import { requirePrincipal } from '../interceptors/access.ts';
import { authenticate } from '../interceptors/authentication.ts';
import type { Dependencies } from './dependencies.ts';

export function exchangeMethods(
  deps: Dependencies,
): Pick<ServiceImpl<typeof AuthService>, 'exchangeToken' | 'exchangeWorkloadToken'> {
  return {
    async exchangeToken(request, context) {
      const client = await recentPrincipal(deps, callOf(context.values));
      const wanted = { ...request, client, clientId: client.clientId };
      const token = await exchangeToken(deps, callerOf(context), wanted);
      const { accessToken, expiresAt, scopes } = token;
      return { accessToken, expiresAt: timestampFromDate(expiresAt), scopes: [...scopes] };
    },
    async exchangeWorkloadToken({ subjectToken: token, audience, scopes: wanted }, context) {
      await deps.roles.requireRecent();
      const request = { token, audience: audience || deps.tokens.audience, scopes: wanted };
      const issued = await exchangeWorkloadToken(deps, callerOf(context), request);
      const { accessToken, expiresAt, scopes } = issued;
      return { accessToken, expiresAt: timestampFromDate(expiresAt), scopes: [...scopes] };
    },
  };
}

/** The principal of a call by what this replica knows now: it may have known less as the call began. */
async function recentPrincipal(deps: Dependencies, call: Call): Promise<Principal> {
  const { verifier, apiKeyVerifier, tokens, apiKeyMemory, roles } = deps;
  await Promise.all([apiKeyMemory.requireRecent(), roles.requireRecent()]);
  requirePrincipal(call);
  const verifiers = { verifier, apiKeyVerifier, audience: tokens.audience };
  return authenticate(verifiers, call, call.credential ?? '', { isRepeated: true });
}
