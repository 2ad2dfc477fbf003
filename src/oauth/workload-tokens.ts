import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Breakers } from '../platform/breakers.ts';
import type { Clock } from '../platform/clock.ts';
import { unavailable } from '../platform/failure.ts';
import { invalidField } from '../platform/invalid-field.ts';
import type { Log } from '../platform/log.ts';
import { isText } from '../sessions/claim-values.ts';
import { OutsideKeys } from './outside-keys.ts';
import { serviceAccountOf, type WorkloadIssuer } from './workload-issuer.ts';

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'];
const CLOCK_TOLERANCE_SECONDS = 5;
/** Until it expires, a token that was used is remembered. */
const MAX_LIFE_SECONDS = 24 * 60 * 60;

/** What a token of an outside issuer proves. */
export type Workload = {
  issuer: string;
  tokenId: string;
  serviceAccountId: string;
  /** The pattern of the setting by which the subject is that service account. */
  pattern: string;
  /** Seconds since 1970. */
  expiresAt: number;
};

type Trusted = { settings: WorkloadIssuer; keys: OutsideKeys };

/** Verifies the tokens that workloads have of the issuers in COUNTERSIGN_WORKLOAD_ISSUERS. */
export class WorkloadTokens {
  readonly #clock: Clock;
  readonly #trusted: ReadonlyMap<string, Trusted>;

  constructor(parts: {
    clock: Clock;
    log: Log;
    breakers: Breakers;
    workloadIssuers: readonly WorkloadIssuer[];
  }) {
    this.#clock = parts.clock;
    this.#trusted = new Map(
      parts.workloadIssuers.map((settings) => [
        settings.issuer,
        { settings, keys: new OutsideKeys(settings, parts) },
      ]),
    );
  }

  /** Whether a text says that it is a token of one of these issuers. */
  claims(token: string): boolean {
    return this.#trustedOf(token) !== undefined;
  }

  /**
   * Returns what a token proves that is valid now, for the audience of the setting, with a `jti` and an
   * end within a day.
   *
   * Throws `INVALID_REQUEST` for any other, and `DEPENDENCY_UNAVAILABLE` if its issuer's keys can't be had.
   */
  async verify(token: string): Promise<Workload> {
    const trusted = this.#trustedOf(token);
    const claims = trusted && (await this.#verified(trusted, token));
    const { sub, jti, exp = 0 } = claims ?? {};
    // They may be anything that JSON has.
    if (!isText(sub) || !isText(jti)) throw invalid();
    const found = trusted && serviceAccountOf(trusted.settings, sub);
    const latest = this.#clock.now().getTime() / 1000 + MAX_LIFE_SECONDS;
    if (!found || exp > latest) throw invalid();
    return {
      issuer: trusted.settings.issuer,
      tokenId: jti,
      serviceAccountId: found.id,
      pattern: found.pattern,
      expiresAt: exp,
    };
  }

  #trustedOf(token: string): Trusted | undefined {
    try {
      return this.#trusted.get(decodeJwt(token).iss ?? '');
    } catch {
      return undefined;
    }
  }

  async #verified({ settings, keys }: Trusted, token: string): Promise<JWTPayload> {
    const { issuer, audience } = settings;
    const check = {
      ...{ issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_SECONDS },
      ...{ currentDate: this.#clock.now(), requiredClaims: ['exp', 'jti', 'sub'] },
    };
    const known = await keys.get();
    if (!known) throw unavailable("the key set of the token's issuer");
    try {
      return (await jwtVerify(token, known, check)).payload;
    } catch (error) {
      // Also for a key that can't be used, which anyone can name.
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw invalid();
    }
    // The issuer may have a new key.
    const newer = await keys.getAgain();
    if (!newer) throw invalid();
    try {
      return (await jwtVerify(token, newer, check)).payload;
    } catch {
      throw invalid();
    }
  }
}

function invalid() {
  return invalidField('subject_token', 'is not a token of a workload that is valid here now');
}
