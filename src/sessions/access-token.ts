import { v7 as uuidv7 } from 'uuid';
import type { RoleBook } from '../access/role-book.ts';
import type { Clock } from '../platform/clock.ts';
import type { KeySet } from '../signing-keys/key-set.ts';
import { signJws } from './sign-jws.ts';

/** The `typ` of access tokens: RFC 9068, section 2.1. */
export const ACCESS_TOKEN_TYPE = 'at+jwt';
/** The one client of a first-party service: RFC 9068 asks for a `client_id`. */
export const CLIENT_ID = 'countersign';

export type TokenSettings = { issuer: string; audience: string; accessTokenTtlMs: number };

export type AccessTokenDeps = {
  clock: Clock;
  keys: Pick<KeySet, 'signingKey'>;
  roles: Pick<RoleBook, 'isStale' | 'look' | 'permissionsOf'>;
  tokens: TokenSettings;
};

/** What of a session and its owner goes into a token. */
export type Grant = {
  sessionId: string;
  accountId: string;
  roles: readonly string[];
  emailVerified: boolean;
  amr: readonly string[];
  authTime: Date;
  expiresAt: Date;
};

/**
 * Signs an access token by RFC 9068. `scope` holds the permissions that the owner's roles give at
 * this moment. It expires with its session at the latest.
 */
export async function issueAccessToken(
  { clock, keys, roles, tokens }: AccessTokenDeps,
  grant: Grant,
): Promise<{ accessToken: string; expiresAt: Date }> {
  if (roles.isStale) await roles.look();
  const now = clock.now().getTime();
  const issuedAt = Math.floor(now / 1000);
  const expiresAt = Math.floor(
    Math.min(now + tokens.accessTokenTtlMs, grant.expiresAt.getTime()) / 1000,
  );
  const { id, algorithm, key } = await keys.signingKey();
  const header = { typ: ACCESS_TOKEN_TYPE, alg: algorithm, kid: id };
  const claims = {
    iss: tokens.issuer,
    sub: grant.accountId,
    aud: tokens.audience,
    jti: uuidv7(),
    iat: issuedAt,
    exp: expiresAt,
    client_id: CLIENT_ID,
    scope: roles.permissionsOf(grant.roles).join(' '),
    sid: grant.sessionId,
    roles: grant.roles,
    amr: grant.amr,
    acr: grant.amr.includes('mfa') ? 'aal2' : 'aal1',
    auth_time: Math.floor(grant.authTime.getTime() / 1000),
    email_verified: grant.emailVerified,
  };
  const accessToken = await signJws(header, claims, key);
  return { accessToken, expiresAt: new Date(expiresAt * 1000) };
}
