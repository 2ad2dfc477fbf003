import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { LRUCache } from 'lru-cache';
import type { ProviderSettings } from '../../federation/provider-settings.ts';
import type { Clock } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import { lruCache } from '../../platform/lru-cache.ts';
import { signJws } from '../../sessions/sign-jws.ts';
import { type Form, required } from '../oauth/form.ts';
import { OAuthError } from '../oauth/oauth-error.ts';

const CODE_MS = 60_000;
const ID_TOKEN_SECONDS = 300;
/** Codes that wait. */
const MAX_CODES = 1000;
const KEY_ID = 'test';

/** Somebody who has signed in, and what their code has to be redeemed with. */
type TestSignIn = {
  email: string;
  name: string;
  redirectUri: string;
  challenge: string;
  nonce: string;
};

/**
 * An OpenID provider to try federation with: whoever names an address has it. It knows one client, which is
 * the service itself, and remembers nobody; a person's subject follows from their address.
 */
export class TestProvider {
  readonly #settings: ProviderSettings;
  readonly #clock: Clock;
  readonly #keys: { privateKey: KeyObject; publicKey: KeyObject };
  readonly #codes: LRUCache<string, TestSignIn & { at: number }>;

  /** Its clock is the machine's, by which its one client judges its tokens. */
  constructor(settings: ProviderSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#codes = lruCache(MAX_CODES, { ttl: CODE_MS });
  }

  discovery(): object {
    const { issuer, scopes } = this.#settings;
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      scopes_supported: scopes,
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      token_endpoint_auth_methods_supported: ['none'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  }

  keySet(): object {
    const jwk = this.#keys.publicKey.export({ format: 'jwk' });
    return { keys: [{ ...jwk, alg: 'ES256', use: 'sig', kid: KEY_ID }] };
  }

  /** Returns the code with which somebody who has signed in is sent back. */
  codeFor(signIn: TestSignIn): string {
    const code = randomBytes(32).toString('base64url');
    this.#codes.set(code, { ...signIn, at: this.#now() });
    return code;
  }

  /** Redeems a code, once, and returns what a token endpoint answers (RFC 6749, section 5.1). */
  async redeem(form: Form): Promise<object> {
    const code = required(form, 'code');
    const signIn = this.#codes.get(code);
    this.#codes.delete(code);
    const challenge = createHash('sha256').update(required(form, 'code_verifier'));
    const isTheirs =
      form.get('grant_type') === 'authorization_code' &&
      form.get('client_id') === this.#settings.clientId &&
      form.get('redirect_uri') === signIn?.redirectUri &&
      challenge.digest('base64url') === signIn?.challenge;
    if (!signIn || !isTheirs) throw invalidGrant();
    return {
      access_token: randomBytes(32).toString('base64url'),
      token_type: 'Bearer',
      expires_in: ID_TOKEN_SECONDS,
      id_token: await this.#idToken(signIn),
    };
  }

  #idToken({ email, name, nonce, at }: TestSignIn & { at: number }): Promise<string> {
    const now = this.#now();
    const claims = {
      iss: this.#settings.issuer,
      sub: createHash('sha256').update(email.toLowerCase()).digest('base64url'),
      aud: this.#settings.clientId,
      iat: now,
      exp: now + ID_TOKEN_SECONDS,
      auth_time: at,
      nonce,
      email,
      email_verified: true,
      name,
    };
    const header = { alg: 'ES256', typ: 'JWT', kid: KEY_ID } as const;
    return signJws(header, claims, this.#keys.privateKey);
  }

  #now(): number {
    return Math.floor(this.#clock.now().getTime() / 1000);
  }
}

function invalidGrant(): OAuthError {
  const message = 'the code is not one of this sign-in, has been used, or is older than a minute';
  return new OAuthError('invalid_grant', new Failure('invalid', 'INVALID_REQUEST', message));
}
