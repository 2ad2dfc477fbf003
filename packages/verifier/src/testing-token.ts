import { randomUUID } from 'node:crypto';

/** What a token is about. Whatever is left out is made up: a user who has just signed in. */
export type TestPrincipal = {
  readonly type?: 'user' | 'service_account';
  readonly subject?: string;
  readonly sessionId?: string;
  readonly permissions?: readonly string[];
  readonly roles?: readonly string[];
  readonly amr?: readonly string[];
  readonly emailVerified?: boolean;
  readonly audience?: string;
  /** How long ago the user signed in. */
  readonly signedInSecondsAgo?: number;
  readonly expiresInSeconds?: number;
};

const TOKEN_SECONDS = 600;

type Issuing = {
  readonly issuer: string;
  readonly audience: string;
  readonly nowSeconds: number;
  readonly versionOf: (subject: string) => number;
};

/** The claims of an access token (RFC 9068). */
export function claimsOf(principal: TestPrincipal, { nowSeconds, ...issuing }: Issuing): object {
  const { type = 'user', subject = randomUUID(), sessionId = randomUUID() } = principal;
  const { permissions = [], roles = [], amr = ['pwd'], emailVerified = true } = principal;
  const about =
    type === 'user'
      ? { sid: sessionId, roles, amr, acr: amr.includes('mfa') ? 'aal2' : 'aal1' }
      : { api_key_id: randomUUID(), sub_type: type, roles: [], owner_roles: [] };
  return {
    ...about,
    iss: issuing.issuer,
    sub: subject,
    aud: principal.audience ?? issuing.audience,
    iat: nowSeconds,
    exp: nowSeconds + (principal.expiresInSeconds ?? TOKEN_SECONDS),
    jti: randomUUID(),
    client_id: 'test',
    scope: permissions.join(' '),
    email_verified: emailVerified,
    token_version: issuing.versionOf(subject),
    ...(type === 'user' && { auth_time: nowSeconds - (principal.signedInSecondsAgo ?? 0) }),
  };
}
