import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../platform/clock.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import { ACCESS_TOKEN_TYPE, CLIENT_ID } from './access-token.ts';
import type { Principal } from './principal.ts';
import { signJws } from './sign-jws.ts';
import { claimsOf } from './token-claims.ts';
import type { AccessToken } from './token-issuer.ts';

export type DerivedToken = {
  audience: string;
  scopes: readonly string[];
  ttlMs: number;
  /** What the client that it is issued to calls itself, if that is known. */
  clientId?: string;
};

/**
 * Signs an access token for a principal that another credential has proved, for one audience, with the
 * scopes given. It lasts `ttlMs`, and no longer than that credential. `keyId` names the key that signed it, and
 * `tokenId` is its `jti`.
 */
export async function issueDerivedToken(
  needs: { clock: Clock; keys: Pick<KeySet, 'signingKey'>; tokens: { issuer: string } },
  principal: Principal,
  { audience, scopes, ttlMs, clientId = CLIENT_ID }: DerivedToken,
): Promise<AccessToken & { keyId: string; tokenId: string }> {
  const now = needs.clock.now().getTime();
  const exp = Math.floor(Math.min((now + ttlMs) / 1000, principal.expiresAt));
  const { id, algorithm, key } = await needs.keys.signingKey();
  const tokenId = uuidv7();
  const header = { typ: ACCESS_TOKEN_TYPE, alg: algorithm, kid: id };
  const claims = {
    iss: needs.tokens.issuer,
    aud: audience,
    jti: tokenId,
    iat: Math.floor(now / 1000),
    exp,
    client_id: clientId,
    ...claimsOf(principal, scopes),
  };
  const accessToken = await signJws(header, claims, key);
  return { accessToken, expiresAt: new Date(exp * 1000), keyId: id, tokenId };
}
