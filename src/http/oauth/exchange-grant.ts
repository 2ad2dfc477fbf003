import { exchangeToken } from '../../oauth/exchange-token.ts';
import { exchangeWorkloadToken } from '../../oauth/exchange-workload-token.ts';
import { Failure } from '../../platform/failure.ts';
import { type Client, clientMissing } from './client.ts';
import { type Form, required } from './form.ts';
import type { Asked } from './oauth-door.ts';
import { invalidRequest, OAuthError } from './oauth-error.ts';
import { scopesOf, targetOf } from './wanted.ts';

export type ExchangeParts = Parameters<typeof exchangeToken>[0] &
  Parameters<typeof exchangeWorkloadToken>[0];

/** What a grant issues. */
export type Issued = {
  accessToken: string;
  expiresAt: Date;
  scopes: readonly string[];
  /** Of a token exchange. */
  issuedType?: string;
};

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** Both say what our access tokens are: RFC 8693, section 3. */
const TOKEN_TYPES: ReadonlySet<string> = new Set([
  ACCESS_TOKEN,
  'urn:ietf:params:oauth:token-type:jwt',
]);

/** What platforms call the tokens of their workloads. */
const WORKLOAD_TYPES: ReadonlySet<string> = new Set([
  'urn:ietf:params:oauth:token-type:jwt',
  'urn:ietf:params:oauth:token-type:id_token',
]);

/** RFC 8693: a token of a service account, for one of its platform. Nobody has to show a secret. */
async function workloadExchange(parts: ExchangeParts, { form, caller }: Asked): Promise<Issued> {
  requireType(form, 'subject_token_type', true, WORKLOAD_TYPES);
  requireType(form, 'requested_token_type', false);
  if (form.has('actor_token')) throw invalidRequest('a workload acts for nobody');
  const token = required(form, 'subject_token');
  const audience = targetOf(form) ?? parts.tokens.audience;
  const wanted = { token, audience, scopes: scopesOf(form) };
  try {
    const issued = await exchangeWorkloadToken(parts, caller(), wanted);
    return { ...issued, issuedType: ACCESS_TOKEN };
  } catch (error) {
    throw exchangeError(error);
  }
}

/** RFC 8693: a token with which the client acts for the subject of another. */
export async function exchangeGrant(
  parts: ExchangeParts,
  client: Client | undefined,
  asked: Asked,
): Promise<Issued> {
  const { form, caller } = asked;
  const subjectToken = required(form, 'subject_token');
  if (parts.workloadTokens.claims(subjectToken)) return workloadExchange(parts, asked);
  if (!client) throw clientMissing();
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

function requireType(form: Form, name: string, isRequired: boolean, types = TOKEN_TYPES): void {
  const type = isRequired ? required(form, name) : form.get(name);
  if (type === undefined || types.has(type)) return;
  throw invalidRequest(`${name} is not supported; use ${[...types].join(' or ')}`);
}

/** The refusal of an exchange by its code in RFC 8693, section 2.2.2; anything else as it is. */
function exchangeError(error: unknown): unknown {
  if (!(error instanceof Failure)) return error;
  if (error.reason === 'SCOPE_MISSING') return new OAuthError('invalid_scope', error);
  if (error.kind === 'denied') return new OAuthError('unauthorized_client', error);
  const isTarget = error.details.fields?.[0]?.path === 'audience';
  return isTarget ? new OAuthError('invalid_target', error) : error;
}
