import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRouterTransport } from '@connectrpc/connect';
import { checksumOf } from './api-keys.ts';
import { COOLDOWN_MS } from './key-set.ts';
import type { VerifierOptions } from './options.ts';
import { TestFeed, type TestTarget } from './testing-feed.ts';
import { TestKeys } from './testing-keys.ts';
import { routesOf, type TestKey } from './testing-service.ts';
import { claimsOf, type TestPrincipal } from './testing-token.ts';
import { createVerifier, type Verifier } from './verifier.ts';

export type { TestPrincipal } from './testing-token.ts';

/** What a key is about. */
export type TestApiKey = Pick<TestPrincipal, 'type' | 'subject' | 'permissions'> & {
  readonly apiKeyId?: string;
  /** Uses that are left; undefined: without limit. */
  readonly uses?: number;
};

const HEARD_WITHIN_MS = 10_000;

/**
 * Countersign in memory, for tests of services that verify its credentials: real tokens, real revocations,
 * and a clock that tests move. Make one with `createTestIssuer`.
 */
export class TestIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly #feed: TestFeed;
  readonly #keys = new TestKeys();
  readonly #verifiers = new Set<Verifier>();
  readonly #apiKeys = new Map<string, TestKey>();
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
    const claims = claimsOf(principal, {
      issuer: this.issuer,
      audience: this.audience,
      nowSeconds: Math.floor(this.#nowMs() / 1000),
      versionOf: (subject) => this.#feed.versionOf(subject),
    });
    return this.#keys.sign(claims);
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
    await this.#keys.rotate();
    await this.advance(COOLDOWN_MS);
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

  async #keySet(): Promise<Response> {
    if (this.#isAway) throw new TypeError('the issuer is away');
    return Response.json(await this.#keys.published());
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
      state !== 'closed' && (state !== 'ready' || heardUpToMs < since + 2);
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
