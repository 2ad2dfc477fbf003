import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRouterTransport } from '@connectrpc/connect';
import {
  CompactSign,
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWK,
} from 'jose';
import { checksumOf } from './api-keys.ts';
import { COOLDOWN_MS } from './key-set.ts';
import type { VerifierOptions } from './options.ts';
import { TestFeed, type TestTarget } from './testing-feed.ts';
import { routesOf, type TestKey } from './testing-service.ts';
import { createVerifier, type Verifier } from './verifier.ts';

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

/** What a key is about. */
export type TestApiKey = Pick<TestPrincipal, 'type' | 'subject' | 'permissions'> & {
  readonly apiKeyId?: string;
  /** Uses that are left; undefined: without limit. */
  readonly uses?: number;
};

const HEARD_WITHIN_MS = 10_000;
const TOKEN_SECONDS = 600;

/**
 * Countersign in memory, for tests of services that verify its credentials: real tokens, real revocations,
 * and a clock that tests move. Make one with `createTestIssuer`.
 */
export class TestIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly #feed: TestFeed;
  readonly #verifiers = new Set<Verifier>();
  readonly #apiKeys = new Map<string, TestKey>();
  readonly #published: JWK[] = [];
  #signing: { readonly key: CryptoKey; readonly id: string } | undefined;
  #first: Promise<void> | undefined;
  #passedMs = 0;
  #staleAfterMs = 15_000;
  #isAway = false;

  constructor({ issuer = 'https://issuer.test', audience = 'test' } = {}) {
    this.issuer = issuer;
    this.audience = audience;
    this.#feed = new TestFeed(() => this.#nowMs());
  }

  #nowMs(): number {
    return Date.now() + this.#passedMs;
  }

  /** A verifier of this issuer's credentials. Close it, or the issuer, in the end. */
  createVerifier(options: Partial<VerifierOptions> = {}): Verifier {
    const { issuer, audience } = this;
    this.#staleAfterMs = Math.max(this.#staleAfterMs, options.staleAfterMs ?? 0);
    const verifier = createVerifier({
      issuer,
      audience,
      transport: createRouterTransport(this.#routes()),
      jwksUrl: `${issuer}/.well-known/jwks.json`,
      fetch: async () => this.#keySet(),
      clock: {
        now: () => this.#nowMs(),
        monotonic: () => performance.now() + this.#passedMs,
      },
      ...options,
    });
    this.#verifiers.add(verifier);
    return verifier;
  }

  /** An access token. */
  async token(principal: TestPrincipal = {}): Promise<string> {
    const { type = 'user', subject = randomUUID(), sessionId = randomUUID() } = principal;
    const { permissions = [], roles = [], amr = ['pwd'], emailVerified = true } = principal;
    const now = Math.floor(this.#nowMs() / 1000);
    const about =
      type === 'user'
        ? { sid: sessionId, roles, amr, acr: amr.includes('mfa') ? 'aal2' : 'aal1' }
        : { api_key_id: randomUUID(), sub_type: type, roles: [], owner_roles: [] };
    return this.#sign({
      ...about,
      iss: this.issuer,
      sub: subject,
      aud: principal.audience ?? this.audience,
      iat: now,
      exp: now + (principal.expiresInSeconds ?? TOKEN_SECONDS),
      jti: randomUUID(),
      client_id: 'test',
      scope: permissions.join(' '),
      email_verified: emailVerified,
      token_version: this.#feed.versionOf(subject),
      ...(type === 'user' && { auth_time: now - (principal.signedInSecondsAgo ?? 0) }),
    });
  }

  /** An API key. */
  apiKey(key: TestApiKey = {}): { readonly secret: string; readonly apiKeyId: string } {
    const { subject = randomUUID(), apiKeyId = randomUUID(), permissions = [] } = key;
    const random = `${randomUUID()}${randomUUID()}`.replaceAll('-', '').slice(0, 54);
    const secret = `csk_${random}`;
    const { type = 'user', uses } = key;
    this.#apiKeys.set(secret + checksumOf(secret), { type, subject, apiKeyId, permissions, uses });
    return { secret: secret + checksumOf(secret), apiKeyId };
  }

  /** Revokes something. Resolves when all verifiers have heard, unless they can't hear. */
  async revoke(target: TestTarget): Promise<void> {
    this.#feed.revoke(target);
    await this.#heard();
  }

  /**
   * Signs with another key from now on. The last one stays valid. Time passes until verifiers that have just
   * read the key set read it again.
   */
  async rotateKey(): Promise<void> {
    await this.#firstKey();
    await this.#addKey();
    await this.advance(COOLDOWN_MS);
  }

  /** Made once, whoever needs it first. */
  #firstKey(): Promise<void> {
    this.#first ??= this.#addKey();
    return this.#first;
  }

  async #addKey(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const id = await calculateJwkThumbprint(jwk);
    this.#published.push({ ...jwk, kid: id, alg: 'ES256', use: 'sig' });
    this.#signing = { key: privateKey, id };
  }

  /** Time passes, for the issuer and its verifiers. */
  async advance(ms: number): Promise<void> {
    this.#passedMs += ms;
    await this.#heard();
  }

  /** From now on verifiers hear of no revocation, and notice: their bound passes. */
  goStale(): void {
    this.#feed.isSilent = true;
    this.#passedMs += this.#staleAfterMs;
  }

  /** The same, and nothing else is answered either. */
  goAway(): void {
    this.#isAway = true;
    this.goStale();
  }

  /** All is well again. Resolves when all verifiers have heard what they missed. */
  async recover(): Promise<void> {
    this.#isAway = false;
    this.#feed.isSilent = false;
    await this.#heard();
  }

  close(): void {
    for (const verifier of this.#verifiers) verifier.close();
    this.#verifiers.clear();
  }

  async #sign(claims: object): Promise<string> {
    await this.#firstKey();
    const { key, id } = this.#signing ?? {};
    if (!key || !id) throw new Error('there is no key');
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: id })
      .sign(key);
  }

  async #keySet(): Promise<Response> {
    if (this.#isAway) throw new TypeError('the issuer is away');
    await this.#firstKey();
    return Response.json({ keys: this.#published });
  }

  #routes() {
    return routesOf({
      feed: this.#feed,
      isAway: () => this.#isAway,
      apiKeys: this.#apiKeys,
      nowSeconds: () => this.#nowMs() / 1000,
      audience: this.audience,
    });
  }

  /** Waits until all verifiers have heard everything there is to hear now. */
  async #heard(): Promise<void> {
    if (this.#feed.isSilent) return;
    const since = this.#nowMs();
    // Clocks are compared in milliseconds.
    const isBehind = ({ state, heardUpToMs }: Verifier) =>
      state !== 'ready' || heardUpToMs < since + 2;
    for (const end = performance.now() + HEARD_WITHIN_MS; performance.now() < end; await sleep(1)) {
      if (![...this.#verifiers].some(isBehind)) return;
      this.#feed.checkpoint();
    }
    throw new Error('a verifier of the test issuer does not hear');
  }
}

/** An issuer in memory, so that tests need no server. */
export function createTestIssuer(options: { issuer?: string; audience?: string } = {}): TestIssuer {
  return new TestIssuer(options);
}
