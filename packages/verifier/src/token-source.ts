import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { decodeJwt } from 'jose';
import { ApiKeyService } from '../gen/countersign/v1/api_key_service_pb.ts';
import { AuthService } from '../gen/countersign/v1/auth_service_pb.ts';
import { type ServiceAddress, transportOf } from './options.ts';
import { type Credential, currentCredential } from './own-credential.ts';
import { secondsOf } from './revocation-set.ts';
import { type Clock, MACHINE_CLOCK } from './service-clock.ts';
import { until } from './until.ts';

/** A pair of tokens, as a sign-in or a refresh returns it. */
export type TokenPair = { readonly accessToken: string; readonly refreshToken: string };

/** An API key that is exchanged for access tokens, so that the services you call don't see it. */
export type KeyExchange = {
  readonly apiKey: Credential;
  /** The service that the tokens are for. */
  readonly audience: string;
  /** What the tokens may do. Default: nothing but say who calls. */
  readonly scopes?: readonly string[];
};

/** A session that is refreshed. */
export type RefreshedSession = {
  readonly tokens: TokenPair;
  /** Gets each new pair. Keep it: the refresh token before it can't be used again. */
  readonly onTokens?: (tokens: TokenPair) => void | Promise<void>;
};

export type TokenSourceOptions = ServiceAddress & {
  /** For tests. */
  readonly clock?: Clock;
} & (KeyExchange | RefreshedSession);

const TIMEOUT_MS = 10_000;
/** A new token is fetched this long before the end (ms), or a fifth of its life. */
const LEAD_MS = 60_000;
/** After a failure the present token serves on, and the next attempt waits this long (ms). */
const RETRY_MS = 1000;

type Held = { readonly token: string; readonly endsAt: number; readonly renewAt: number };

/** Where client interceptors get tokens. */
export type Tokens = Pick<TokenSource, 'get' | 'expire'>;

/** Access tokens for the calls that you make: one for all of them, renewed shortly before its end. */
export class TokenSource {
  readonly #clock: Clock;
  readonly #fetch: () => Promise<string>;
  #held: Held | undefined;
  #fetching: Promise<string> | undefined;
  /** The last attempt, if it failed. */
  #failed: { readonly at: number; readonly error: unknown } | undefined;

  constructor(fetchToken: () => Promise<string>, clock: Clock, token?: string) {
    this.#clock = clock;
    this.#fetch = fetchToken;
    if (token !== undefined) this.#hold(token, false);
  }

  /**
   * Returns an access token, at once if there is a good one. All callers wait for one that is being fetched;
   * each no longer than its `signal`. Throws what fetching it failed with.
   */
  get(signal?: AbortSignal): string | Promise<string> {
    const now = this.#clock.monotonic();
    const held = this.#held;
    const failed = this.#failed && now - this.#failed.at < RETRY_MS ? this.#failed : undefined;
    if (held && now < held.endsAt) {
      // Nobody waits for it; a failure shows when the present token has ended.
      if (now >= held.renewAt && !failed) this.#renew().catch(() => {});
      return held.token;
    }
    if (failed) throw failed.error;
    return until(this.#renew(), signal);
  }

  /** A server says that this token has expired: it is not given out again. */
  expire(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  #renew(): Promise<string> {
    this.#fetching ??= this.#fetch()
      .then(
        (token) => this.#hold(token, true),
        (error) => {
          this.#failed = { at: this.#clock.monotonic(), error };
          throw error;
        },
      )
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  /** How long a token lives stands in it; when it was issued is right now, unless it was given. */
  #hold(token: string, isNew: boolean): string {
    const { iat = 0, exp = 0 } = decodeJwt(token);
    const lifeMs = (exp - iat) * 1000;
    const leftMs = isNew ? lifeMs : Math.min(lifeMs, exp * 1000 - this.#clock.now());
    const endsAt = this.#clock.monotonic() + leftMs;
    this.#held = { token, endsAt, renewAt: endsAt - Math.min(LEAD_MS, lifeMs / 5) };
    return token;
  }
}

/** Access tokens by exchanging an API key, or by refreshing a session. */
export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const clock = options.clock ?? MACHINE_CLOCK;
  const transport = transportOf(options);
  if ('apiKey' in options) {
    const apiKeys = createClient(ApiKeyService, transport);
    return new TokenSource(() => exchange(apiKeys, options), clock);
  }
  const refresher = new Refresher(createClient(AuthService, transport), options);
  return new TokenSource(() => refresher.refresh(), clock, options.tokens.accessToken);
}

async function exchange(
  client: Client<typeof ApiKeyService>,
  { apiKey, audience, scopes = [] }: KeyExchange,
): Promise<string> {
  const secret = await currentCredential(apiKey, TIMEOUT_MS);
  const request = { secret, audience, scopes: [...scopes] };
  const answer = await client.exchangeApiKey(request, { timeoutMs: TIMEOUT_MS });
  if (!answer.expiresAt || secondsOf(answer.expiresAt, 0) === 0) throw new Error('no expiry');
  return answer.accessToken;
}

/** Exchanges a refresh token for its successor, one after another. */
class Refresher {
  readonly #client: Client<typeof AuthService>;
  readonly #onTokens: RefreshedSession['onTokens'];
  #refreshToken: string;
  /** Why the session has ended; it is no use to ask again. */
  #ended: ConnectError | undefined;

  constructor(client: Client<typeof AuthService>, { tokens, onTokens }: RefreshedSession) {
    this.#client = client;
    this.#onTokens = onTokens;
    this.#refreshToken = tokens.refreshToken;
  }

  /** After a failure the same token is presented again: its successor is the same. */
  async refresh(): Promise<string> {
    if (this.#ended) throw this.#ended;
    const request = { refreshToken: this.#refreshToken };
    try {
      const { tokens } = await this.#client.refreshToken(request, { timeoutMs: TIMEOUT_MS });
      if (!tokens) throw new Error('the service returned no tokens');
      this.#refreshToken = tokens.refreshToken;
      const { accessToken, refreshToken } = tokens;
      await this.#onTokens?.({ accessToken, refreshToken });
      return accessToken;
    } catch (error) {
      const failure = ConnectError.from(error);
      if (failure.code === Code.Unauthenticated) this.#ended = failure;
      throw error;
    }
  }
}
