import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  ApiKeyReason,
  type VerifyApiKeyResponse,
} from '../gen/countersign/v1/api_key_service_pb.ts';
import { type Reason, VerifierError } from './errors.ts';
import type { RevocationFeed } from './feed.ts';
import { Memory, Shared } from './memory.ts';
import type { Principal } from './principal.ts';
import { secondsOf } from './revocation-set.ts';
import { type CountersignService, principalOf } from './service.ts';
import type { Clock, ServiceClock } from './service-clock.ts';
import { expiredToken, revokedToken } from './token.ts';

const FORM = /^csk_[0-9A-Za-z]{60}$/;
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const MAX_REMEMBERED = 10_000;

export type ApiKeyParts = {
  readonly service: CountersignService;
  readonly feed: RevocationFeed;
  readonly clock: Clock;
  readonly serviceClock: ServiceClock;
  readonly audience: string;
  readonly rememberMs: number;
};

type Remembered = { readonly principal: Principal; readonly until: number };

/** The principal of a credential, and whether each use of it counts against a limit. */
export type Verdict = { readonly principal: Principal; readonly isLimited: boolean };

/**
 * Asks the service about API keys. A key is remembered for a moment, never while revocations are not heard
 * and never if it has a limit, which has to count each use.
 */
export class ApiKeys {
  readonly #parts: ApiKeyParts;
  readonly #known = new Memory<Remembered>(MAX_REMEMBERED);
  readonly #asked = new Shared<Verdict>();
  /** Goes up when anything is revoked: an answer from before may be out of date. */
  #generation = 0;
  /** Of each question that is on its way: the ids of keys and owners of whom something was revoked since. */
  readonly #heardWhileAsking = new Set<Set<string>>();

  constructor(parts: ApiKeyParts) {
    this.#parts = parts;
  }

  /** Something that concerns a key, or the owner of one, has been revoked: its id. */
  forget(id: string): void {
    this.#generation += 1;
    this.#known.clear();
    for (const heard of this.#heardWhileAsking) heard.add(id);
  }

  /** Returns the principal of a key that is valid now, from this address. Throws why it is not. */
  verify(secret: string, ipAddress: string): Verdict | Promise<Verdict> {
    if (!isLikeASecret(secret)) throw invalidKey();
    const name = createHash('sha256').update(`${ipAddress} ${secret}`).digest('base64url');
    const known = this.#known.get(name);
    if (!known || !this.#parts.feed.isFresh) return this.#ask(secret, ipAddress, name);
    if (this.#parts.clock.monotonic() < known.until) {
      return { principal: this.#live(known.principal), isLimited: false };
    }
    // It had no limit a moment ago: callers at once share one question.
    return this.#asked
      .run(name, () => this.#ask(secret, ipAddress, name))
      .then((verdict) => (verdict.isLimited ? this.#ask(secret, ipAddress, name) : verdict));
  }

  #live(principal: Principal): Principal {
    const { serviceClock, feed } = this.#parts;
    if (principal.expiresAt <= serviceClock.nowSeconds()) throw expiredToken();
    if (feed.covers(principal)) throw revokedToken();
    return principal;
  }

  async #ask(secret: string, ipAddress: string, name: string): Promise<Verdict> {
    const { service, clock, audience, rememberMs } = this.#parts;
    const generation = this.#generation;
    const until = clock.monotonic() + rememberMs;
    const heard = new Set<string>();
    this.#heardWhileAsking.add(heard);
    const answer = await service
      .verifyApiKey(secret, ipAddress)
      .finally(() => this.#heardWhileAsking.delete(heard));
    if (!answer.valid || !answer.principal) throw refusal(answer);
    const expiresAt = secondsOf(answer.expiresAt, Number.POSITIVE_INFINITY);
    const principal = principalOf(answer.principal, [audience], expiresAt);
    // The answer may be from before the revocation; the next one is not.
    if (heard.has(principal.subject) || heard.has(principal.apiKeyId)) {
      return this.#ask(secret, ipAddress, name);
    }
    const isLimited = answer.rateLimit !== undefined;
    if (!isLimited && rememberMs > 0 && generation === this.#generation) {
      this.#known.set(name, { principal, until });
    }
    return { principal, isLimited };
  }
}

const REFUSALS: Partial<Record<ApiKeyReason, readonly [Reason, string]>> = {
  [ApiKeyReason.EXPIRED]: ['TOKEN_EXPIRED', 'the API key has expired'],
  [ApiKeyReason.REVOKED]: ['TOKEN_REVOKED', 'the API key has been revoked'],
  [ApiKeyReason.OWNER_INACTIVE]: ['ACCOUNT_SUSPENDED', "the API key's owner is not active"],
  [ApiKeyReason.ADDRESS_NOT_ALLOWED]: [
    'ADDRESS_NOT_ALLOWED',
    'the API key may not be used from this address',
  ],
};

function refusal({ reason, rateLimit }: VerifyApiKeyResponse): VerifierError {
  if (reason === ApiKeyReason.RATE_LIMITED) {
    return new VerifierError('RATE_LIMITED', "the API key's limit is used up", {
      retryAfterMs: Math.ceil(secondsOf(rateLimit?.resetsIn, 1) * 1000),
      metadata: { limit: 'api_key' },
    });
  }
  const [name, message] = REFUSALS[reason] ?? [];
  return name && message ? new VerifierError(name, message) : invalidKey();
}

function invalidKey(): VerifierError {
  return new VerifierError('TOKEN_INVALID', 'the API key is not valid');
}

/** Whether a secret has the checksum of one: what is mistyped or made up costs the service nothing. */
function isLikeASecret(text: string): boolean {
  return FORM.test(text) && text.endsWith(checksumOf(text.slice(0, 58)));
}

/** The CRC-32 of a secret's other characters, in six digits of base 62. */
export function checksumOf(text: string): string {
  let checksum = '';
  for (let rest = crc32(text); checksum.length < 6; rest = Math.floor(rest / 62)) {
    checksum = DIGITS.charAt(rest % 62) + checksum;
  }
  return checksum;
}
