import { Failure } from '../platform/failure.ts';
import type { Principal } from './principal.ts';
import type { AccessTokenVerifier } from './verify-access-token.ts';

export type Introspection =
  | { active: true; principal: Principal }
  | { active: false; reason: 'SCOPE_MISSING' | 'PERMISSION_MISSING'; principal: Principal }
  | { active: false; reason: 'INACTIVE' };

export type IntrospectionQuery = {
  token: string;
  requiredScopes: readonly string[];
  requiredPermissions: readonly string[];
  /** Empty: any audience. */
  audience: string;
};

const INACTIVE: Introspection = { active: false, reason: 'INACTIVE' };

/**
 * Returns whether an access token is valid now and sufficient. By RFC 7662, section 2.2, the answer
 * says nothing more about a token that is not valid (A07). Throws if it can't find out.
 */
export function introspectToken(
  verifier: AccessTokenVerifier,
  query: IntrospectionQuery,
): Introspection | Promise<Introspection> {
  try {
    const verified = verifier.verify(query.token);
    return verified instanceof Promise
      ? verified.then((principal) => judge(principal, query), inactive)
      : judge(verified, query);
  } catch (error) {
    return inactive(error);
  }
}

function judge(principal: Principal, query: IntrospectionQuery): Introspection {
  if (query.audience !== '' && !principal.audience.includes(query.audience)) return INACTIVE;
  if (!query.requiredScopes.every((scope) => principal.scopes.includes(scope))) {
    return { active: false, reason: 'SCOPE_MISSING', principal };
  }
  // A scope of the token counts only while the token's owner holds the permission.
  const held = (name: string) => principal.permissions.includes(name);
  if (!query.requiredScopes.every(held) || !query.requiredPermissions.every(held)) {
    return { active: false, reason: 'PERMISSION_MISSING', principal };
  }
  return { active: true, principal };
}

function inactive(error: unknown): Introspection {
  if (error instanceof Failure && error.kind === 'unauthenticated') return INACTIVE;
  throw error;
}
