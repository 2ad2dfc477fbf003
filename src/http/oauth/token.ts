import { RatePolicy } from '../../../gen/countersign/v1/access_pb.ts';
import type { RoleBook } from '../../access/role-book.ts';
import type { ApiKeyMemory } from '../../api-keys/api-key-memory.ts';
import { issueKeyToken } from '../../api-keys/exchange-api-key.ts';
import { Failure } from '../../platform/failure.ts';
import type { Verifiers } from '../../rpc/interceptors/authentication.ts';
import type { RateLimits } from '../../rpc/interceptors/rate-limits.ts';
import { type Client, clientMissing, clientOf } from './client.ts';
import { type ExchangeParts, exchangeGrant, type Issued } from './exchange-grant.ts';
import { required } from './form.ts';
import type { Answer, Asked, OAuthEndpoint } from './oauth-door.ts';
import { OAuthError } from './oauth-error.ts';
import { scopesOf, targetOf } from './wanted.ts';

type Parts = ExchangeParts & {
  verifiers: Verifiers;
  rateLimits: RateLimits;
  tokens: { accessTokenTtlMs: number };
  roles: Pick<RoleBook, 'requireRecent'>;
  apiKeyMemory: Pick<ApiKeyMemory, 'requireRecent'>;
};

type Grant = (parts: Parts, client: Client | undefined, asked: Asked) => Promise<Issued>;
const GRANTS: ReadonlyMap<string, Grant> = new Map([
  ['client_credentials', clientCredentials],
  ['urn:ietf:params:oauth:grant-type:token-exchange', exchangeGrant],
]);

/** What discovery says. */
export const GRANT_TYPES: readonly string[] = [...GRANTS.keys()];

/** `POST /oauth2/token` (RFC 6749): access tokens for programs. There are no refresh tokens here. */
export function tokenEndpoint(parts: Parts): OAuthEndpoint {
  return async (asked) => {
    const { call, form } = asked;
    // The token that follows must not be issued by what this replica knew before it lost contact.
    await Promise.all([parts.apiKeyMemory.requireRecent(), parts.roles.requireRecent()]);
    const client = await countedClient(parts, asked);
    if (client) call.hold?.know(client.principal.subject);
    else call.hold?.suspend();
    const grant = GRANTS.get(required(form, 'grant_type'));
    if (!grant) throw unsupportedGrant();
    return answer(parts, await grant(parts, client, asked));
  };
}

/** The client, if there is one. What it may ask is counted for it, and for its address if it is not known. */
async function countedClient(parts: Parts, { call, form }: Asked): Promise<Client | undefined> {
  const client = await clientOf(parts.verifiers, call, form).catch(async (error) => {
    await parts.rateLimits.count(RatePolicy.EXCHANGES, call);
    throw error;
  });
  call.principal = client?.principal;
  await parts.rateLimits.count(RatePolicy.EXCHANGES, call);
  return client;
}

function answer({ clock }: Parts, issued: Issued): Answer {
  const { accessToken, expiresAt, scopes, issuedType } = issued;
  const now = clock.now().getTime();
  const body = {
    access_token: accessToken,
    ...(issuedType !== undefined && { issued_token_type: issuedType }),
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.floor((expiresAt.getTime() - now) / 1000)),
    scope: scopes.join(' '),
  };
  return { body: JSON.stringify(body) };
}

/** RFC 6749, section 4.4: a token for what the client's own key allows, or less. */
async function clientCredentials(
  parts: Parts,
  client: Client | undefined,
  { form }: Asked,
): Promise<Issued> {
  // An access token must not be renewed by itself.
  if (client?.secret === undefined) throw clientMissing();
  const scopes = scopesOf(form);
  const { principal, id: clientId } = client;
  if (!scopes.every((scope) => principal.scopes.includes(scope))) {
    throw scopeRefused('the API key or its owner lacks a scope');
  }
  const audience = targetOf(form) ?? parts.tokens.audience;
  return issueKeyToken(parts, principal, { audience, scopes, clientId });
}

function scopeRefused(message: string): OAuthError {
  return new OAuthError('invalid_scope', new Failure('denied', 'SCOPE_MISSING', message));
}

function unsupportedGrant(): OAuthError {
  const message = `this grant_type is not supported; use ${GRANT_TYPES.join(' or ')}`;
  return new OAuthError(
    'unsupported_grant_type',
    new Failure('invalid', 'INVALID_REQUEST', message),
  );
}
