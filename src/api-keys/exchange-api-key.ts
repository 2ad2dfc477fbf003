import { v7 as uuidv7 } from 'uuid';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import { ACCESS_TOKEN_TYPE, CLIENT_ID, type TokenSettings } from '../sessions/access-token.ts';
import type { Principal } from '../sessions/principal.ts';
import { signJws } from '../sessions/sign-jws.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import { keyFailure } from './key-failure.ts';
import type { ApiKeyVerifier } from './verify-api-key.ts';

export type ExchangeApiKeyDeps = {
  clock: Clock;
  keys: Pick<KeySet, 'signingKey'>;
  tokens: TokenSettings;
  apiKeyVerifier: ApiKeyVerifier;
};

export type ExchangeApiKey = {
  secret: string;
  audience: string;
  /** Empty: all that the key has. */
  scopes: readonly string[];
};

export type ExchangedToken = { accessToken: string; expiresAt: Date; scopes: readonly string[] };

/**
 * Exchanges a key for an access token for one audience, in the sense of RFC 8693, with no more than was
 * asked for (A01). It carries the key's id, by which it falls with the key, and no session.
 *
 * Throws what `keyFailure` says of a key that is refused.
 */
export async function exchangeApiKey(
  deps: ExchangeApiKeyDeps,
  caller: Caller,
  { secret, audience, scopes }: ExchangeApiKey,
): Promise<ExchangedToken> {
  const { requestId, ipAddress } = caller;
  const query = { secret, requiredScopes: scopes, cost: 1, ipAddress, requestId };
  const verdict = await deps.apiKeyVerifier.verify(query);
  if (!verdict.valid) {
    const held = verdict.principal?.scopes ?? [];
    throw keyFailure(
      verdict,
      scopes.filter((scope) => !held.includes(scope)),
    );
  }
  return issue(
    deps,
    verdict.principal,
    audience,
    scopes.length > 0 ? scopes : verdict.principal.scopes,
  );
}

async function issue(
  { clock, keys, tokens }: ExchangeApiKeyDeps,
  principal: Principal,
  audience: string,
  scopes: readonly string[],
): Promise<ExchangedToken> {
  const now = clock.now().getTime();
  const expiresAt = Math.floor(
    Math.min((now + tokens.accessTokenTtlMs) / 1000, principal.expiresAt),
  );
  const { id, algorithm, key } = await keys.signingKey();
  const header = { typ: ACCESS_TOKEN_TYPE, alg: algorithm, kid: id };
  const claims = {
    iss: tokens.issuer,
    sub: principal.subject,
    sub_type: principal.type,
    aud: audience,
    jti: uuidv7(),
    iat: Math.floor(now / 1000),
    exp: expiresAt,
    client_id: CLIENT_ID,
    scope: scopes.join(' '),
    api_key_id: principal.apiKeyId,
    roles: principal.roles,
    owner_roles: principal.ownerRoles,
    email_verified: principal.emailVerified,
  };
  const accessToken = await signJws(header, claims, key);
  return { accessToken, expiresAt: new Date(expiresAt * 1000), scopes };
}
