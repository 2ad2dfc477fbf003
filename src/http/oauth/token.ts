import { RatePolicy } from '../../../gen/countersign/v1/access_pb.ts';
import type { RoleBook } from '../../access/role-book.ts';
import type { ApiKeyMemory } from '../../api-keys/api-key-memory.ts';
import { issueKeyToken } from '../../api-keys/exchange-api-key.ts';
import { exchangeToken } from '../../oauth/exchange-token.ts';
import type { Clock } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { Verifiers } from '../../rpc/interceptors/authentication.ts';
import type { RateLimits } from '../../rpc/interceptors/rate-limits.ts';
import type { KeySet } from '../../signing-keys/key-set.ts';
import { type Client, clientMissing, clientOf } from './client.ts';
import { type Form, required } from './form.ts';
import type { Answer, Asked, OAuthEndpoint } from './oauth-door.ts';
import { invalidRequest, OAuthError } from './oauth-error.ts';
import { scopesOf, targetOf } from './wanted.ts';

type Parts = Parameters<typeof exchangeToken>[0] & {
  verifiers: Verifiers;
  rateLimits: RateLimits;
  clock: Clock;
  keys: KeySet;
  tokens: { issuer: string; audience: string; accessTokenTtlMs: number };
  roles: Pick<RoleBook, 'requireRecent'>;
  apiKeyMemory: Pick<ApiKeyMemory, 'requireRecent'>;
};

type Grant = (parts: Parts, client: Client, asked: Asked) => Promise<Issued>;
type Issued = {
  accessToken: string;
  expiresAt: Date;
  scopes: readonly string[];
  /** Of a token exchange. */
  issuedType?: string;
};

const GRANTS: ReadonlyMap<string, Grant> = new Map([
  ['client_credentials', clientCredentials],
  ['urn:ietf:params:oauth:grant-type:token-exchange', tokenExchange],
]);

/** What discovery says. */
export const GRANT_TYPES: readonly string[] = [...GRANTS.keys()];

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** Both say what our access tokens are: RFC 8693, section 3. */
const TOKEN_TYPES: ReadonlySet<string> = new Set([
  ACCESS_TOKEN,
  'urn:ietf:params:oauth:token-type:jwt',
]);

/** `POST /oauth2/token` (RFC 6749): access tokens for programs. There are no refresh tokens here. */
export function tokenEndpoint(parts: Parts): OAuthEndpoint {
  return async (asked) => {
    const { call, form } = asked;
    await parts.rateLimits.count(RatePolicy.TOKENS, call.countedAs);
    call.hold?.suspend();
    const grant = GRANTS.get(required(form, 'grant_type'));
    if (!grant) throw unsupportedGrant();
    // The token that follows must not be issued by what this replica knew before it lost contact.
    await Promise.all([parts.apiKeyMemory.requireRecent(), parts.roles.requireRecent()]);
    const client = await clientOf(parts.verifiers, call, form);
    if (!client) throw clientMissing();
    call.principal = client.principal;
    call.hold?.know(client.principal.subject);
    return answer(parts, await grant(parts, client, asked));
  };
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
async function clientCredentials(parts: Parts, client: Client, { form }: Asked): Promise<Issued> {
  // An access token must not be renewed by itself.
  if (client.secret === undefined) throw clientMissing();
  const scopes = scopesOf(form);
  const { principal, id: clientId } = client;
  if (!scopes.every((scope) => principal.scopes.includes(scope))) {
    throw scopeRefused('the API key or its owner lacks a scope');
  }
  const audience = targetOf(form) ?? parts.tokens.audience;
  return issueKeyToken(parts, principal, { audience, scopes, clientId });
}

/** RFC 8693: a token with which the client acts for the subject of another. */
async function tokenExchange(parts: Parts, client: Client, asked: Asked): Promise<Issued> {
  const { form, caller } = asked;
  const subjectToken = required(form, 'subject_token');
  requireType(form, 'subject_token_type', true);
  requireType(form, 'requested_token_type', false);
  const actorToken = form.get('actor_token') ?? '';
  requireType(form, 'actor_token_type', actorToken !== '');
  const audience = targetOf(form);
  if (audience === undefined) throw invalidRequest('audience or resource is missing');
  const wanted = { subjectToken, audience, scopes: scopesOf(form), actorToken };
  const who = { client: client.principal, clientId: client.id };
  try {
    const issued = await exchangeToken(parts, caller(), { ...wanted, ...who });
    return { ...issued, issuedType: ACCESS_TOKEN };
  } catch (error) {
    throw exchangeError(error);
  }
}

function requireType(form: Form, name: string, isRequired: boolean): void {
  const type = isRequired ? required(form, name) : form.get(name);
  if (type === undefined || TOKEN_TYPES.has(type)) return;
  throw invalidRequest(`${name} is not supported; use ${ACCESS_TOKEN}`);
}

/** The refusal of an exchange by its code in RFC 8693, section 2.2.2; anything else as it is. */
function exchangeError(error: unknown): unknown {
  if (!(error instanceof Failure)) return error;
  if (error.reason === 'SCOPE_MISSING') return new OAuthError('invalid_scope', error);
  if (error.kind === 'denied') return new OAuthError('unauthorized_client', error);
  const isTarget = error.details.fields?.[0]?.path === 'audience';
  return isTarget ? new OAuthError('invalid_target', error) : error;
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
