import type { Interceptor } from '@connectrpc/connect';
import { Failure } from '../../platform/failure.ts';
import type { AccessTokenVerifier } from '../../sessions/verify-access-token.ts';
import { type Call, callOf } from '../call.ts';

/**
 * Finds out who calls, from `authorization: Bearer …`. It refuses nobody: whether a credential is
 * needed is the access rule's to say. An outage while finding out is an outage, not a refusal.
 */
export function authentication(verifier: AccessTokenVerifier, audience: string): Interceptor {
  const identify = async (call: Call, credential: string) => {
    try {
      call.principal = await authenticate(verifier, audience, credential);
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'unauthenticated') throw error;
      call.refusal = error;
    }
  };
  return (next) => (req) => {
    const call = callOf(req.contextValues);
    if (call.credential === undefined) return next(req);
    return identify(call, call.credential).then(() => next(req));
  };
}

async function authenticate(verifier: AccessTokenVerifier, audience: string, header: string) {
  // RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
  const token = /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined) {
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
