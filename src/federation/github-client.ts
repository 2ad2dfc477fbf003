import * as client from 'openid-client';
import { z } from 'zod';
import {
  displayNameOf,
  type ExternalIdentity,
  emailOf,
  UnusableClaims,
} from './external-identity.ts';
import type { Answer, AuthorizationRequest, ProviderClient } from './provider-client.ts';
import type { ProviderHttp } from './provider-http.ts';
import type { ProviderSettings } from './provider-settings.ts';

const GITHUB = 'https://github.com/login/oauth';

/** One page, of the most that a page holds: the primary address is among a hundred of them. */
const EMAILS = '/user/emails?per_page=100';

const userSchema = z.object({
  id: z.number().int().positive().max(Number.MAX_SAFE_INTEGER),
  name: z.unknown(),
  login: z.unknown(),
});
const emailsSchema = z.array(
  z.object({ email: z.unknown(), primary: z.unknown(), verified: z.unknown() }),
);

/**
 * GitHub, or an installation of GitHub Enterprise Server: OAuth 2 with PKCE, without ID tokens. Who the person
 * is comes from its API: the numeric id, which is never given again, unlike names.
 */
export class GithubClient implements ProviderClient {
  readonly #settings: ProviderSettings;
  readonly #http: ProviderHttp;

  constructor(settings: ProviderSettings, http: ProviderHttp) {
    this.#settings = settings;
    this.#http = http;
  }

  async authorizationUrl({
    redirectUri,
    state,
    challenge,
    isFresh,
  }: AuthorizationRequest): Promise<URL> {
    return client.buildAuthorizationUrl(this.#configured(), {
      redirect_uri: redirectUri,
      scope: this.#settings.scopes.join(' '),
      state,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...(isFresh && { prompt: 'select_account' }),
    });
  }

  async redeem(answer: Answer, deadline: AbortSignal, caller: AbortSignal) {
    const configuration = this.#configured(this.#http.fetchWithin(deadline, caller));
    const { redirectUri, code, iss, state, verifier } = answer;
    const answered = new URL(redirectUri);
    answered.searchParams.set('code', code);
    answered.searchParams.set('state', state);
    if (iss !== '') answered.searchParams.set('iss', iss);
    const tokens = await client.authorizationCodeGrant(configuration, answered, {
      expectedState: state,
      pkceCodeVerifier: verifier,
    });
    const [user, emails] = await Promise.all([
      this.#get(configuration, tokens.access_token, '/user'),
      this.#get(configuration, tokens.access_token, EMAILS),
    ]);
    return identityOf(this.#settings, user, emails);
  }

  async #get(configuration: client.Configuration, token: string, path: string): Promise<unknown> {
    const { origin } = new URL(this.#settings.issuer);
    const api = this.#settings.issuer === GITHUB ? 'https://api.github.com' : `${origin}/api/v3`;
    const headers = new Headers({ accept: 'application/vnd.github+json' });
    const url = new URL(`${api}${path}`);
    const response = await client.fetchProtectedResource(
      configuration,
      token,
      url,
      'GET',
      null,
      headers,
    );
    // Without the scope for addresses, GitHub says that there are none.
    if (response.status === 404 || response.status === 403) return undefined;
    if (response.status !== 200) throw new UnusableClaims('refused');
    return response.json();
  }

  #configured(fetch?: client.CustomFetch): client.Configuration {
    const { issuer, clientId, clientSecret } = this.#settings;
    const metadata = {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/access_token`,
      authorization_response_iss_parameter_supported: issuer === GITHUB,
    };
    const configuration = new client.Configuration(metadata, clientId, clientSecret);
    if (fetch) configuration[client.customFetch] = fetch;
    if (issuer.startsWith('http:')) client.allowInsecureRequests(configuration);
    return configuration;
  }
}

function identityOf(settings: ProviderSettings, user: unknown, emails: unknown): ExternalIdentity {
  const read = userSchema.safeParse(user);
  if (!read.success) throw new UnusableClaims('the user is malformed');
  const { id, name, login } = read.data;
  const listed = emailsSchema.safeParse(emails).data ?? [];
  const email = emailOf(
    listed.find(({ primary, verified }) => primary === true && verified === true)?.email,
  );
  return {
    issuer: settings.issuer,
    subject: String(id),
    email,
    isVerified: email !== undefined,
    isAuthoritative: settings.trustEmail && email !== undefined,
    displayName: displayNameOf(name) || displayNameOf(login),
    hasSecondFactor: false,
    authTime: undefined,
  };
}
