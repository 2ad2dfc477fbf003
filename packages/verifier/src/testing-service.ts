import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { decodeJwt } from 'jose';
import { ApiKeyReason, ApiKeyService } from '../gen/countersign/v1/api_key_service_pb.ts';
import { PrincipalType } from '../gen/countersign/v1/principal_pb.ts';
import { IntrospectionReason, SessionService } from '../gen/countersign/v1/session_service_pb.ts';
import type { Principal } from './principal.ts';
import type { TestFeed } from './testing-feed.ts';

/** An API key of a test issuer, and how many uses of it are left. */
export type TestKey = {
  readonly type: 'user' | 'service_account';
  readonly subject: string;
  readonly apiKeyId: string;
  readonly permissions: readonly string[];
  uses: number | undefined;
};

type Parts = {
  readonly feed: TestFeed;
  readonly isAway: () => boolean;
  readonly apiKeys: ReadonlyMap<string, TestKey>;
  readonly nowSeconds: () => number;
  readonly audience: string;
};

const TYPES = {
  user: PrincipalType.USER,
  service_account: PrincipalType.SERVICE_ACCOUNT,
} as const;

/** The methods of Countersign that a verifier calls. */
export function routesOf(parts: Parts): (router: ConnectRouter) => void {
  const answering = <T>(answer: () => T): T => {
    if (parts.isAway()) throw new ConnectError('the issuer is away', Code.Unavailable);
    return answer();
  };
  return ({ service }) => {
    service(SessionService, {
      introspectToken: ({ token }) => answering(() => introspection(parts, token)),
      watchRevocations: ({ cursor }, { signal }) =>
        answering(() => parts.feed.watch(cursor, signal)),
    });
    service(ApiKeyService, {
      verifyApiKey: ({ secret }) => answering(() => verdict(parts, secret)),
    });
  };
}

/** Of a token that this issuer has signed: nobody else can ask. */
function introspection({ feed, nowSeconds, audience }: Parts, token: string) {
  const inactive = { active: false, reason: IntrospectionReason.INACTIVE };
  let claims: ReturnType<typeof decodeJwt>;
  try {
    claims = decodeJwt(token);
  } catch {
    return inactive;
  }
  const text = (name: string) => (typeof claims[name] === 'string' ? claims[name] : '');
  const list = (name: string) => (Array.isArray(claims[name]) ? claims[name].map(String) : []);
  const { exp = 0, iat = 0, sub = '', jti = '' } = claims;
  const scopes = text('scope').split(' ').filter(Boolean);
  const principal = {
    type: claims['sub_type'] === 'service_account' ? 'service_account' : 'user',
    subject: sub,
    sessionId: text('sid'),
    apiKeyId: text('api_key_id'),
    emailVerified: claims['email_verified'] === true,
    roles: list('roles'),
    permissions: scopes,
    scopes,
    amr: list('amr'),
  } as const;
  const judged: Principal = {
    ...principal,
    tokenId: jti,
    keyId: '',
    audience: [audience],
    authTime: 0,
    issuedAt: iat,
    expiresAt: exp,
    tokenVersion: Number(claims['token_version'] ?? 0),
    actors: [],
  };
  if (exp <= nowSeconds() || claims.aud !== audience || feed.covers(judged)) return inactive;
  const authTime = timestampFromMs(Number(claims['auth_time'] ?? 0) * 1000);
  return {
    active: true,
    principal: { ...principal, type: TYPES[principal.type], authTime },
    expiresAt: timestampFromMs(exp * 1000),
  };
}

function verdict({ feed, apiKeys }: Parts, secret: string) {
  const key = apiKeys.get(secret);
  if (!key) return { reason: ApiKeyReason.UNKNOWN_KEY };
  const { type, subject, apiKeyId, uses } = key;
  const permissions = [...key.permissions];
  const judged: Principal = {
    type,
    subject,
    sessionId: '',
    apiKeyId,
    tokenId: '',
    keyId: '',
    emailVerified: true,
    roles: [],
    permissions,
    scopes: permissions,
    amr: [],
    audience: [],
    authTime: 0,
    issuedAt: Number.POSITIVE_INFINITY,
    expiresAt: Number.POSITIVE_INFINITY,
    tokenVersion: undefined,
    actors: [],
  };
  if (feed.covers(judged)) return { reason: ApiKeyReason.REVOKED };
  const principal = { type: TYPES[type], subject, apiKeyId, permissions, scopes: permissions };
  if (uses === undefined) return { valid: true, principal };
  key.uses = Math.max(0, uses - 1);
  const rateLimit = { limit: uses, remaining: key.uses, resetsIn: { seconds: 60n } };
  if (uses > 0) return { valid: true, principal, rateLimit };
  return { reason: ApiKeyReason.RATE_LIMITED, principal, rateLimit };
}
