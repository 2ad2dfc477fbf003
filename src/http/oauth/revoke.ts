import { RatePolicy } from '../../../gen/countersign/v1/access_pb.ts';
import { revokeToken } from '../../oauth/revoke-token.ts';
import { Failure } from '../../platform/failure.ts';
import type { Verifiers } from '../../rpc/interceptors/authentication.ts';
import type { RateLimits } from '../../rpc/interceptors/rate-limits.ts';
import { clientOf } from './client.ts';
import { required } from './form.ts';
import type { OAuthEndpoint } from './oauth-door.ts';
import { OAuthError } from './oauth-error.ts';

type Parts = Parameters<typeof revokeToken>[0] & { verifiers: Verifiers; rateLimits: RateLimits };

/**
 * `POST /oauth2/revoke` (RFC 7009). Whoever holds a token may end it, as by Logout; a client that says who
 * it is must prove it.
 */
export function revokeEndpoint(parts: Parts): OAuthEndpoint {
  return async ({ call, form, caller }) => {
    await parts.rateLimits.count(RatePolicy.TOKENS, call);
    call.hold?.suspend();
    const client = await clientOf(parts.verifiers, call, form);
    call.principal = client?.principal;
    const token = required(form, 'token');
    if (token.startsWith('csk_')) throw unsupported();
    await revokeToken(parts, caller(), token);
    return { body: '{}' };
  };
}

/** A key is no token: it is revoked by its owner, for good. */
function unsupported(): OAuthError {
  const message = 'API keys are revoked by ApiKeyService/RevokeApiKey';
  return new OAuthError(
    'unsupported_token_type',
    new Failure('invalid', 'INVALID_REQUEST', message),
  );
}
