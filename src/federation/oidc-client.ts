import * as client from 'openid-client';
import type { Clock } from '../platform/clock.ts';
import { errorFields, type Log } from '../platform/log.ts';
import { type ExternalIdentity, identityFromClaims } from './external-identity.ts';
import type { Answer, AuthorizationRequest, ProviderClient } from './provider-client.ts';
import { isProviderFault, ProviderFault, type ProviderHttp } from './provider-http.ts';
import type { ProviderSettings } from './provider-settings.ts';

const DISCOVERY_MS = 4000;
const FRESH_MS = 3600_000;
/** After a renewal that failed: the provider's other endpoints may be well, and are behind one breaker. */
const AGAIN_MS = 60_000;
/** Ten years (seconds): so old may a sign-in at the provider be. */
const ANY_AGE_S = '315360000';
/** The library's own limit (seconds), which is never the first to be reached. */
const LIBRARY_TIMEOUT_S = 10;
const LONG_AGO = 0;

type Tokens = Awaited<ReturnType<typeof client.authorizationCodeGrant>>;

/**
 * A provider that speaks OpenID Connect. Its discovery document is fetched when it is first needed, once for
 * all who wait for it. After an hour the old one is still used until there is a new one, which is asked
 * for once a minute.
 */
export class OidcClient implements ProviderClient {
  readonly #settings: ProviderSettings;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #http: ProviderHttp;
  #metadata: { value: client.ServerMetadata; freshUntil: number } | undefined;
  #discovering: Promise<client.ServerMetadata> | undefined;
  #keys: client.ExportedJWKSCache | undefined;

  constructor(
    settings: ProviderSettings,
    http: ProviderHttp,
    { clock, log }: { clock: Clock; log: Log },
  ) {
    this.#settings = settings;
    this.#http = http;
    this.#clock = clock;
    this.#log = log;
  }

  async authorizationUrl(request: AuthorizationRequest, signal: AbortSignal): Promise<URL> {
    const { redirectUri, state, nonce, challenge, isFresh } = request;
    return client.buildAuthorizationUrl(this.#configured(await this.#discovered(signal)), {
      redirect_uri: redirectUri,
      scope: this.#settings.scopes.join(' '),
      state,
      nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      // Google knows no other way to have the person take part.
      ...(isFresh && { prompt: this.#settings.preset === 'google' ? 'select_account' : 'login' }),
      // Whoever is asked for an age has to say the time (OpenID Connect Core, section 3.1.2.1).
      max_age: isFresh ? '0' : ANY_AGE_S,
    });
  }

  async redeem(answer: Answer, deadline: AbortSignal, caller: AbortSignal) {
    const metadata = await this.#discovered(deadline);
    const fetch = rememberingTokens(this.#http.fetchWithin(deadline, caller));
    const configured = () => {
      const configuration = this.#configured(metadata, fetch);
      client.enableNonRepudiationChecks(configuration);
      if (this.#keys) client.setJwksCache(configuration, this.#keys);
      return configuration;
    };
    let configuration = configured();
    let tokens: Tokens;
    try {
      tokens = await grant(configuration, answer);
    } catch (error) {
      if (!isUnknownKey(error) || this.#keys === undefined) throw error;
      // The provider has changed its keys since they were fetched. The token request is not repeated.
      this.#keys = undefined;
      configuration = configured();
      tokens = await grant(configuration, answer);
    }
    this.#keys = client.getJwksCache(configuration);
    return this.#identityOf(configuration, tokens);
  }

  async #identityOf(
    configuration: client.Configuration,
    tokens: Tokens,
  ): Promise<ExternalIdentity> {
    const claims = tokens.claims() ?? {};
    const { userinfo_endpoint: endpoint } = configuration.serverMetadata();
    const isComplete = 'email' in claims || !this.#settings.scopes.includes('email');
    const subject = String('sub' in claims ? claims.sub : '');
    const userInfo =
      isComplete || endpoint === undefined
        ? {}
        : await client.fetchUserInfo(configuration, tokens.access_token, subject);
    const identity = identityFromClaims(this.#settings, { ...claims }, userInfo);
    return { ...identity, authTime: identity.authTime ?? this.#unsaidTime(configuration) };
  }

  /**
   * What it means that a provider does not say when the person proved who they are. One that could has not
   * been asked: somebody has changed the address that they were sent to, perhaps to hide that it was long ago
   * (C10). Microsoft names the claim, and sends it only if an administrator adds it.
   */
  #unsaidTime(configuration: client.Configuration): number | undefined {
    const { claims_supported: named = [] } = configuration.serverMetadata();
    const couldSay = named.includes('auth_time') && this.#settings.preset !== 'microsoft';
    return couldSay ? LONG_AGO : undefined;
  }

  #configured(metadata: client.ServerMetadata, fetch?: client.CustomFetch): client.Configuration {
    const { clientId, clientSecret: secret, issuer } = this.#settings;
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const proof = methods.includes('client_secret_post')
      ? client.ClientSecretPost
      : client.ClientSecretBasic;
    const authentication = secret === undefined ? client.None() : proof(secret);
    const configuration = new client.Configuration(metadata, clientId, undefined, authentication);
    configuration.timeout = LIBRARY_TIMEOUT_S;
    if (fetch) configuration[client.customFetch] = fetch;
    if (issuer.startsWith('http:')) client.allowInsecureRequests(configuration);
    return configuration;
  }

  async #discovered(signal: AbortSignal): Promise<client.ServerMetadata> {
    const known = this.#metadata;
    if (known && this.#now() < known.freshUntil) return known.value;
    this.#discovering ??= this.#discover().finally(() => {
      this.#discovering = undefined;
    });
    const discovering = this.#discovering;
    if (!known) return untilAborted(discovering, signal);
    discovering.catch((error) => this.#keepStale(known.value, error));
    return known.value;
  }

  async #discover(): Promise<client.ServerMetadata> {
    const { issuer, clientId } = this.#settings;
    const isInsecure = issuer.startsWith('http:');
    try {
      const configuration = await client.discovery(
        new URL(issuer),
        clientId,
        undefined,
        undefined,
        {
          [client.customFetch]: this.#http.fetchWithin(AbortSignal.timeout(DISCOVERY_MS)),
          execute: isInsecure ? [client.allowInsecureRequests] : [],
          timeout: LIBRARY_TIMEOUT_S,
        },
      );
      const value = { ...configuration.serverMetadata() };
      if (value.issuer !== issuer) throw new ProviderFault('another issuer');
      this.#metadata = { value, freshUntil: this.#now() + FRESH_MS };
      return value;
    } catch (error) {
      // Whatever is wrong with the document, there is no provider without it.
      throw isProviderFault(error) ? error : new ProviderFault('no discovery', { cause: error });
    }
  }

  #keepStale(value: client.ServerMetadata, error: unknown): void {
    this.#metadata = { value, freshUntil: this.#now() + AGAIN_MS };
    const fields = { component: 'federation', name: this.#settings.id, ...errorFields(error) };
    this.#log.warn({ ...fields, stack: undefined }, 'the discovery document was not renewed');
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}

function grant(
  configuration: client.Configuration,
  { redirectUri, code, iss, state, nonce, verifier }: Answer,
): Promise<Tokens> {
  const answered = new URL(redirectUri);
  answered.searchParams.set('code', code);
  answered.searchParams.set('state', state);
  if (iss !== '') answered.searchParams.set('iss', iss);
  return client.authorizationCodeGrant(configuration, answered, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: verifier,
    idTokenExpected: true,
  });
}

/** Sends a token request once: the same answer is given to a second one of the exchange. */
function rememberingTokens(fetch: client.CustomFetch): client.CustomFetch {
  let answered: Promise<Response> | undefined;
  return async (url, options) => {
    if (options.method !== 'POST') return fetch(url, options);
    answered ??= fetch(url, options);
    return (await answered).clone();
  };
}

function isUnknownKey(error: unknown): boolean {
  return error instanceof client.ClientError && error.code === 'OAUTH_KEY_SELECTION_FAILED';
}

/** Waits for work that others wait for too, but no longer than `signal` allows. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(new ProviderFault('too slow', { cause: signal.reason }));
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
