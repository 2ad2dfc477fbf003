import type { Actor, Principal } from '../../sessions/principal.ts';

/** What RFC 7662, section 2.2, has to say about a token. */
export type IntrospectionAnswer = Claims & { active: boolean };
type Claims = Readonly<Record<string, unknown>>;

/** Nothing more is said about a token that is not valid (A07). */
export const INACTIVE: IntrospectionAnswer = { active: false };

/** What is said about a valid access token or API key. `scope` is what it allows at this moment. */
export function activeAnswer(issuer: string, principal: Principal): IntrospectionAnswer {
  const { subject, permissions, clientId, audience, expiresAt, issuedAt, tokenId } = principal;
  const [only, ...others] = audience;
  return {
    active: true,
    scope: permissions.join(' '),
    client_id: clientId,
    token_type: 'Bearer',
    iss: issuer,
    sub: subject,
    ...(only !== undefined && { aud: others.length > 0 ? audience : only }),
    // An API key may have no end, and was not issued like a token.
    ...(Number.isFinite(expiresAt) && { exp: expiresAt }),
    ...(Number.isFinite(issuedAt) && { iat: issuedAt }),
    ...(tokenId !== '' && { jti: tokenId }),
    ...actClaim(principal.actors),
  };
}

/** Who acts for the subject, and for whom those act: RFC 8693, section 4.1. */
function actClaim([actor, ...before]: readonly Actor[]): Claims {
  if (!actor) return {};
  const { subject, apiKeyId } = actor;
  return {
    act: {
      sub: subject,
      ...(apiKeyId !== '' && { client_id: apiKeyId }),
      ...actClaim(before),
    },
  };
}
