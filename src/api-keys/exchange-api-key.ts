import { v7 as uuidv7 } from 'uuid';
import type { RoleBook } from '../access/role-book.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { ACCESS_TOKEN_TYPE, CLIENT_ID, MAX_TOKEN_BYTES } from '../sessions/access-token.ts';
import type { Principal } from '../sessions/principal.ts';
import { signJws } from '../sessions/sign-jws.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { keyFailure } from './key-failure.ts';
import type { ApiKeyVerifier } from './verify-api-key.ts';

/** Up to this length (characters) of the audience, a token that is too long has too many scopes. */
const LONG_AUDIENCE = 500;

type IssuingNeeds = {
  clock: Clock;
  keys: KeySet;
  tokens: { issuer: string; accessTokenTtlMs: number };
};

export type ExchangeApiKey = {
  secret: string;
  audience: string;
  /** Empty: all scopes of the key. */
  scopes: readonly string[];
};

export type ExchangedToken = { accessToken: string; expiresAt: Date; scopes: readonly string[] };

/**
 * Exchanges a key for an access token for one audience (RFC 8693), with the scopes that were asked for
 * and no others (A01). The token carries no session, and the key's id: revoking the key revokes it.
 *
 * Throws the `keyFailure` of a key that is refused, and `INVALID_REQUEST` for a token over 4 KiB, which
 * nobody would take.
 */
export async function exchangeApiKey(
  needs: {
    clock: Clock;
    keys: KeySet;
    tokens: { issuer: string; accessTokenTtlMs: number };
    apiKeyVerifier: ApiKeyVerifier;
    apiKeyMemory: Pick<ApiKeyMemory, 'requireRecent'>;
    roles: Pick<RoleBook, 'requireRecent'>;
  },
  caller: Caller,
  { secret, audience, scopes }: ExchangeApiKey,
): Promise<ExchangedToken> {
  await Promise.all([needs.apiKeyMemory.requireRecent(), needs.roles.requireRecent()]);
  const { requestId, ipAddress, addressIsCertain } = caller;
  const from = { ipAddress, addressIsCertain, requestId };
  const query = { secret, requiredScopes: scopes, cost: 1, ...from };
  const verdict = await needs.apiKeyVerifier.verify(query);
  if (!verdict.valid) {
    const held = verdict.principal?.scopes ?? [];
    throw keyFailure(
      verdict,
      scopes.filter((scope) => !held.includes(scope)),
    );
  }
  const { principal } = verdict;
  return issue(needs, principal, audience, scopes.length > 0 ? scopes : principal.scopes);
}

async function issue(
  { clock, keys, tokens }: IssuingNeeds,
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
    token_version: principal.tokenVersion,
    email_verified: principal.emailVerified,
  };
  const accessToken = await signJws(header, claims, key);
  if (accessToken.length > MAX_TOKEN_BYTES) throw tooLong(audience);
  return { accessToken, expiresAt: new Date(expiresAt * 1000), scopes };
}

/** Names the field that makes a token too long: an audience is rarely longer than a URL. */
function tooLong(audience: string): Failure {
  const isAudience = JSON.stringify(audience).length > LONG_AUDIENCE;
  const field = isAudience ? 'audience' : 'scopes';
  const advice = isAudience ? 'name a shorter one' : 'ask for fewer of them';
  return invalidField(field, `would make the token longer than 4 KiB; ${advice}`);
}
