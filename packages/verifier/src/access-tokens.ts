import { hash } from 'node:crypto';
import { VerifierError } from './errors.ts';
import type { RevocationFeed } from './feed.ts';
import type { KeySet } from './key-set.ts';
import { Memory, Shared } from './memory.ts';
import type { Settings } from './options.ts';
import type { Principal } from './principal.ts';
import type { CountersignService } from './service.ts';
import type { Clock, ServiceClock } from './service-clock.ts';
import { notHeard, type Standing } from './standing.ts';
import {
  expiredToken,
  invalidToken,
  keyIdOf,
  principalOfToken,
  requireForm,
  requireLength,
  revokedToken,
} from './token.ts';

/** A new verifier waits this long for what is in force before it goes by `whileStale` (ms). */
const PATIENCE_MS = 1000;

type Parts = {
  readonly settings: Pick<Settings, 'issuer' | 'audience' | 'whileStale' | 'maxTokens'>;
  readonly service: CountersignService;
  readonly feed: RevocationFeed;
  readonly keys: KeySet;
  readonly standing: Standing;
  readonly clock: Clock;
  readonly serviceClock: ServiceClock;
};

/** Verifies access tokens, and remembers those that it has verified. */
export class AccessTokens {
  readonly #parts: Parts;
  readonly #known: Memory<Principal>;
  readonly #verifying = new Shared<Principal>();
  readonly #patientUntil: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#known = new Memory(parts.settings.maxTokens);
    this.#patientUntil = parts.clock.monotonic() + PATIENCE_MS;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** Returns the principal of a token that is valid now. Throws why it is not. */
  verify(token: string): Principal | Promise<Principal> {
    const { standing, feed, clock, settings } = this.#parts;
    requireLength(token);
    const digest = hash('sha256', token, 'base64url');
    const known = this.#known.get(digest);
    if (!known) requireForm(token);
    if (standing.goesByMemory) {
      if (known && standing.trustsKeys) return standing.live(known);
      return this.#verifying
        .run(digest, () => this.#verifyNow(token, digest))
        .then((principal) => standing.live(principal));
    }
    const patienceMs = this.#patientUntil - clock.monotonic();
    if (feed.state === 'starting' && patienceMs > 0) {
      return feed.ready(patienceMs).then(
        () => this.verify(token),
        () => this.verify(token),
      );
    }
    if (settings.whileStale === 'ask') return this.#ask(token, digest);
    throw notHeard();
  }

  async #verifyNow(token: string, digest: string): Promise<Principal> {
    const { standing, feed, keys, settings, serviceClock } = this.#parts;
    const keyId = keyIdOf(token);
    if (feed.coversKey(keyId)) throw revokedToken();
    if (!standing.trustsKeys) await keys.renew();
    const key = await keys.find(keyId);
    if (!key) throw invalidToken();
    const { issuer, audience } = settings;
    const nowSeconds = serviceClock.nowSeconds();
    const principal = await principalOfToken(token, key, { issuer, nowSeconds });
    if (!principal.audience.includes(audience)) {
      throw new VerifierError('TOKEN_INVALID', 'the access token is for another audience');
    }
    this.#known.set(digest, principal);
    return principal;
  }

  async #ask(token: string, digest: string): Promise<Principal> {
    const { service, serviceClock } = this.#parts;
    const principal = await service.introspect(token);
    if (principal) return principal;
    // The service does not say why; what is known here may.
    const local = await this.#verifyNow(token, digest).catch((error: VerifierError) => error);
    if (!(local instanceof VerifierError)) {
      throw local.expiresAt <= serviceClock.nowSeconds() ? expiredToken() : revokedToken();
    }
    throw local.isRefusal ? local : invalidToken();
  }
}
