import type { Interceptor } from '@connectrpc/connect';
import { keyFailure } from '../../api-keys/key-failure.ts';
import type { ApiKeyVerifier } from '../../api-keys/verify-api-key.ts';
import { Failure } from '../../platform/failure.ts';
import type { Principal } from '../../sessions/principal.ts';
import type { AccessTokenVerifier } from '../../sessions/verify-access-token.ts';
import { type Call, callOf } from '../call.ts';

/** Access tokens must be for `audience`. */
export type Verifiers = {
  verifier: AccessTokenVerifier;
  apiKeyVerifier: ApiKeyVerifier;
  audience: string;
};

/**
 * Finds out who calls, from `authorization: Bearer …` with an access token or an API key, or from
 * `x-api-key`. It refuses nobody: the access rule decides whether a credential is needed. If a
 * dependency is unavailable, the call fails with that instead of a refusal.
 */
export function authentication(verifiers: Verifiers): Interceptor {
  const identify = async (call: Call, credential: string) => {
    try {
      call.principal = await authenticate(verifiers, call, credential);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      call.refusal = error;
    }
  };
  return (next) => (req) => {
    const call = callOf(req.contextValues);
    if (call.credential === undefined) return next(req);
    return identify(call, call.credential).then(() => next(req));
  };
}

/** Failures that refuse the credential itself; a used-up limit does not, and neither does an outage. */
const REFUSALS: ReadonlySet<string> = new Set(['unauthenticated', 'denied']);

/** Whether a failure refuses the credential. */
export function isRefusal(error: unknown): error is Failure {
  return error instanceof Failure && REFUSALS.has(error.kind);
}

/**
 * Returns the principal of a credential, or throws why it is refused. `isRepeated`: it has been judged for
 * this call before, and does not count as used again.
 */
export async function authenticate(
  verifiers: Verifiers,
  call: Call,
  header: string,
  { isRepeated = false } = {},
): Promise<Principal> {
  const { verifier, audience } = verifiers;
  // RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
  const [, scheme = '', token] = /^(bearer|apikey) +(\S+)$/i.exec(header) ?? [];
  if (token?.startsWith('csk_')) {
    return keyPrincipal(verifiers.apiKeyVerifier, call, token, isRepeated);
  }
  if (token === undefined || scheme.toLowerCase() === 'apikey') {
    throw new Failure(
      'unauthenticated',
      'TOKEN_INVALID',
      'the credential is neither a bearer token nor an API key',
    );
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

async function keyPrincipal(
  verifier: ApiKeyVerifier,
  call: Call,
  secret: string,
  isRepeated: boolean,
) {
  const { ipAddress, addressIsCertain, countedAs, requestId } = call;
  const from = { ipAddress, addressIsCertain, countedAs, requestId };
  const query = { secret, requiredScopes: [], cost: 1, ...from, isRepeated };
  const verdict = await verifier.verify(query);
  if (verdict.limit) call.rateLimits = [{ policy: 'api-key', ...verdict.limit }];
  if (!verdict.valid) throw keyFailure(verdict);
  return verdict.principal;
}
