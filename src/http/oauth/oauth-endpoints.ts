import { introspectEndpoint } from './introspect.ts';
import type { OAuthEndpoint } from './oauth-door.ts';
import { revokeEndpoint } from './revoke.ts';
import { tokenEndpoint } from './token.ts';

type Parts = Parameters<typeof introspectEndpoint>[0] &
  Parameters<typeof tokenEndpoint>[0] &
  Parameters<typeof revokeEndpoint>[0];

/** The OAuth endpoints, by their paths. */
export function oauthEndpoints(parts: Parts): ReadonlyMap<string, OAuthEndpoint> {
  return new Map([
    ['/oauth2/introspect', introspectEndpoint(parts)],
    ['/oauth2/token', tokenEndpoint(parts)],
    ['/oauth2/revoke', revokeEndpoint(parts)],
  ]);
}
