import type { RoleBook } from '../access/role-book.ts';
import type { Caller } from '../platform/caller.ts';
import type { Clock } from '../platform/clock.ts';
import type { Failure } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { MAX_TOKEN_BYTES } from '../sessions/access-token.ts';
import { issueDerivedToken } from '../sessions/derived-token.ts';
import type { Principal } from '../sessions/principal.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import type { ApiKeyMemory } from './api-key-memory.ts';
import { keyFailure } from './key-failure.ts';
import type { ApiKeyVerifier } from './verify-api-key.ts';

/** Up to this length (characters) of the audience, a token that is too long has too many scopes. */
const LONG_AUDIENCE = 500;

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
  return issueKeyToken(needs, verdict.principal, { audience, scopes });
}

type KeyToken = {
  audience: string;
  /** Empty: all scopes of the key. All of them must be the key's. */
  scopes: readonly string[];
  /** What the client calls itself, if it says so. */
  clientId?: string;
};

/**
 * Issues the token that a key is exchanged for, whose memories were recent when it was verified. Throws
 * `INVALID_REQUEST` for a token over 4 KiB, which nobody would take.
 */
export async function issueKeyToken(
  needs: { clock: Clock; keys: KeySet; tokens: { issuer: string; accessTokenTtlMs: number } },
  principal: Principal,
  { audience, scopes, ...client }: KeyToken,
): Promise<ExchangedToken> {
  const granted = scopes.length > 0 ? scopes : principal.scopes;
  const ttlMs = needs.tokens.accessTokenTtlMs;
  const wanted = { audience, scopes: granted, ttlMs, ...client };
  const token = await issueDerivedToken(needs, principal, wanted);
  if (token.accessToken.length > MAX_TOKEN_BYTES) throw tooLong(audience);
  return { ...token, scopes: granted };
}

/** Names the field that makes a token too long: an audience is rarely longer than a URL. */
function tooLong(audience: string): Failure {
  const isAudience = JSON.stringify(audience).length > LONG_AUDIENCE;
  const field = isAudience ? 'audience' : 'scopes';
  const advice = isAudience ? 'name a shorter one' : 'ask for fewer of them';
  return invalidField(field, `would make the token longer than 4 KiB; ${advice}`);
}
