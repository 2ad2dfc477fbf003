import { Failure, unavailable } from '../platform/failure.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { isProviderFault } from './provider-http.ts';
import type { ProviderSettings } from './provider-settings.ts';

/** How long all requests of one sign-in to a provider may take together. */
export const EXCHANGE_MS = 5000;

/** Errors by which a provider says that it can't serve now, or that our registration there is wrong. */
const OF_THE_PROVIDER = ['server_error', 'temporarily_unavailable'];
const OF_OUR_SETTINGS = [
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'incorrect_client_credentials',
  'redirect_uri_mismatch',
];
/** The library's codes for a refusal that is not in OAuth's form: some proxy's, or of a wrong endpoint. */
const NOT_OAUTH = ['OAUTH_RESPONSE_IS_NOT_CONFORM', 'OAUTH_RESPONSE_IS_NOT_JSON'];
/** What callers are told: a provider, or whoever wrote its answer, has no other way to reach them. */
const TOLD = [
  'access_denied',
  'login_required',
  'consent_required',
  'interaction_required',
  'account_selection_required',
  'invalid_grant',
];

/**
 * The failure of a sign-in at a provider: `DEPENDENCY_UNAVAILABLE` if it can't be reached or read, or does not
 * accept us; `FEDERATED_LOGIN_REFUSED` if it did not confirm the sign-in, or its answer does not hold. The log
 * has the names and codes of errors only.
 */
export function providerFailure(log: Log, { id }: ProviderSettings, error: unknown): Failure {
  const name = errorNameIn(error);
  const isOurs = name !== undefined && OF_OUR_SETTINGS.includes(name);
  const isUnavailable =
    isOurs ||
    isProviderFault(error) ||
    OF_THE_PROVIDER.includes(name ?? '') ||
    NOT_OAUTH.includes((error as { code?: string }).code ?? '');
  const known = isOurs || TOLD.includes(name ?? '') ? name : undefined;
  const fields = { component: 'federation', name: id, reason: known, ...errorFields(error) };
  if (isUnavailable) {
    log.warn({ ...fields, stack: undefined }, 'the identity provider is not available');
    return unavailable('the identity provider', error);
  }
  log.info({ ...fields, stack: undefined }, 'the identity provider did not confirm a sign-in');
  return notConfirmed(name, error);
}

/** The refusal of a sign-in that the provider did not confirm, and its own word for why if it is a known one. */
export function notConfirmed(providerError?: string, cause?: unknown): Failure {
  const told = providerError !== undefined && TOLD.includes(providerError);
  return new Failure(
    'unauthenticated',
    'FEDERATED_LOGIN_REFUSED',
    'the identity provider did not confirm the sign-in; begin again',
    told ? { metadata: { provider_error: providerError } } : {},
    cause,
  );
}

/**
 * The failure that an error in a provider's redirect stands for. It comes by way of a caller, who can write
 * anything there: the log doesn't say that something is wrong with the provider.
 */
export function redirectFailure(log: Log, { id }: ProviderSettings, name: string): Failure {
  const isKnown = [...OF_THE_PROVIDER, ...OF_OUR_SETTINGS, ...TOLD].includes(name);
  const fields = { component: 'federation', name: id, ...(isKnown && { reason: name }) };
  log.info(fields, 'a person came back from the identity provider with an error');
  return OF_THE_PROVIDER.includes(name) ? unavailable('the identity provider') : notConfirmed(name);
}

/** The `error` of RFC 6749, section 5.2, that a provider answered with: GitHub does so with status 200. */
function errorNameIn(error: unknown): string | undefined {
  let at = error as { error?: unknown; body?: { error?: unknown }; cause?: unknown } | undefined;
  for (let depth = 0; at !== null && typeof at === 'object' && depth < 5; depth += 1) {
    if (typeof at.error === 'string') return at.error;
    if (typeof at.body?.error === 'string') return at.body.error;
    at = at.cause as typeof at;
  }
  return undefined;
}
