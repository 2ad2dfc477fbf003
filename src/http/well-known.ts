import type { KeySet } from '../signing-keys/key-set.ts';
import { etagOf, unlessKnown } from './etag.ts';
import { GRANT_TYPES } from './oauth/token.ts';
import { type Endpoint, json } from './sidecar.ts';

/** Envoy and Istio ask again after 5 to 20 minutes; a key is public for 20 minutes before it signs. */
const JWKS_MAX_AGE_SECONDS = 300;

/** The public halves of the signing keys, RFC 7517, with the headers that caches need. */
export function jwksEndpoint(keys: KeySet): Endpoint {
  return (req) => {
    const answer = json(200, keys.jwks);
    const headers = {
      etag: etagOf(answer.body),
      'cache-control': `public, max-age=${JWKS_MAX_AGE_SECONDS}`,
    };
    return unlessKnown(req, answer, headers);
  };
}

/** The algorithms that a signing key may have. */
const ALGORITHMS = ['ES256', 'EdDSA', 'RS256'];
/** RFC 6749, section 2.3.1. */
const BY_SECRET = ['client_secret_basic', 'client_secret_post'];

/** What access tokens say; the last five are ours. */
const CLAIMS = [
  ...['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'act'],
  ...['sid', 'roles', 'amr', 'idp', 'acr', 'auth_time', 'email_verified'],
  ...['api_key_id', 'owner_roles', 'sub_type', 'subject_type', 'token_version'],
];

/** What the documents depend on. */
export type Discovered = {
  issuer: string;
  publicUrl: string;
  /** With any, the token of a workload takes the place of a client's credential. */
  workloadIssuers: readonly unknown[];
  /** With any, there are callers who introspect without a credential. */
  trustedCallers: readonly string[];
};

/**
 * Says where the keys of the issuer are, and which OAuth endpoints there are: OpenID Connect Discovery 1.0,
 * section 4, and RFC 8414. It names no authorization endpoint, since people sign in by AuthService.
 */
export function discoveryEndpoint(facts: Discovered): Endpoint {
  const { issuer, publicUrl, workloadIssuers, trustedCallers } = facts;
  const or = (none: readonly unknown[]) => (none.length > 0 ? ['none'] : []);
  const document = {
    issuer,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    token_endpoint: `${publicUrl}/oauth2/token`,
    token_endpoint_auth_methods_supported: [...BY_SECRET, ...or(workloadIssuers)],
    revocation_endpoint: `${publicUrl}/oauth2/revoke`,
    // By an access token too, for which this list has no name.
    revocation_endpoint_auth_methods_supported: [...BY_SECRET, 'none'],
    introspection_endpoint: `${publicUrl}/oauth2/introspect`,
    introspection_endpoint_auth_methods_supported: [...BY_SECRET, 'Bearer', ...or(trustedCallers)],
    introspection_signing_alg_values_supported: ALGORITHMS,
    response_types_supported: [],
    grant_types_supported: GRANT_TYPES,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ALGORITHMS,
    claims_supported: CLAIMS,
  };
  return () => ({
    ...json(200, document),
    headers: { 'cache-control': `public, max-age=${JWKS_MAX_AGE_SECONDS}` },
  });
}
