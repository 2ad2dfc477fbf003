import type { Interceptor } from '@connectrpc/connect';
import { keyFailure } from '../../api-keys/key-failure.ts';
import type { ApiKeyVerifier } from '../../api-keys/verify-api-key.ts';
import { Failure } from '../../platform/failure.ts';
import type { AccessTokenVerifier } from '../../sessions/verify-access-token.ts';
import { type Call, callOf } from '../call.ts';

/** What credentials are verified by. Access tokens are to be for this audience. */
export type CredentialDeps = {
  verifier: AccessTokenVerifier;
  apiKeyVerifier: ApiKeyVerifier;
  audience: string;
};

/**
 * Finds out who calls, from `authorization: Bearer …` with an access token or an API key, or from
 * `x-api-key`. It refuses nobody: whether a credential is
 * needed is the access rule's to say. An outage while finding out is an outage, not a refusal.
 */
export function authentication(deps: CredentialDeps): Interceptor {
  const identify = async (call: Call, credential: string) => {
    try {
      call.principal = await authenticate(deps, call, credential);
    } catch (error) {
      if (!(error instanceof Failure) || !REFUSALS.has(error.kind)) throw error;
      call.refusal = error;
    }
  };
  return (next) => (req) => {
    const call = callOf(req.contextValues);
    if (call.credential === undefined) return next(req);
    return identify(call, call.credential).then(() => next(req));
  };
}

/** What a refusal of the credential is; a limit's is none, and neither is an outage. */
const REFUSALS: ReadonlySet<string> = new Set(['unauthenticated', 'denied']);

async function authenticate(deps: CredentialDeps, call: Call, header: string) {
  const { verifier, audience } = deps;
  // RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
  const [, scheme = '', token] = /^(bearer|apikey) +(\S+)$/i.exec(header) ?? [];
  if (token?.startsWith('csk_')) return keyPrincipal(deps, call, token);
  if (token === undefined || scheme.toLowerCase() === 'apikey') {
    throw new Failure('unauthenticated', 'TOKEN_INVALID', 'the credential is not a bearer token');
  }
  const principal = await verifier.verify(token);
  if (!principal.audience.includes(audience)) {
    throw new Failure(
      'unauthenticated',
      'TOKEN_INVALID',
      'the access token is for another audience',
    );
  }
  return principal;
}

async function keyPrincipal(deps: CredentialDeps, call: Call, secret: string) {
  const { ipAddress, requestId } = call;
  const query = { secret, requiredScopes: [], cost: 1, ipAddress, requestId };
  const verdict = await deps.apiKeyVerifier.verify(query);
  if (!verdict.valid) throw keyFailure(verdict);
  return verdict.principal;
}
