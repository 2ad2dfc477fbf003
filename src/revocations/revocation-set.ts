import type { RevocationTarget } from './revocation-target.ts';

/** The parts of a token by which it may be revoked. */
export type CheckedToken = {
  sessionId: string;
  tokenId: string;
  apiKeyId: string;
  subject: string;
  /** Undefined for what was issued by a version of the program that had none. */
  tokenVersion: number | undefined;
  /** Whole seconds since 1970. */
  issuedAt: number;
  keyId: string;
  /** Who acts with it for its subject: what revokes theirs, revokes it. */
  actors: readonly CheckedToken[];
};

/** The revocations in force, in memory: every token check of this replica asks it. */
export class RevocationSet {
  /** Ids, each with the time (ms) when the last token that it concerns has expired. */
  readonly #expiries = {
    session: new Map<string, number>(),
    token: new Map<string, number>(),
    subject: new Map<string, number>(),
    api_key: new Map<string, number>(),
    signing_key: new Map<string, number>(),
  };
  /** Subjects' ids, each with the moment (seconds, with a fraction) before which tokens are revoked. */
  readonly #notBefore = new Map<string, number>();
  /** The same for tokens that have a version, which a revocation by version does not judge by time. */
  readonly #notBeforeForAll = new Map<string, number>();
  /** Subjects' ids, each with the version below which tokens are revoked. */
  readonly #belowVersion = new Map<string, number>();

  add(target: RevocationTarget, expiresAtMs: number): void {
    const expiries = this.#expiries[target.kind];
    expiries.set(target.id, Math.max(expiries.get(target.id) ?? 0, expiresAtMs));
    if (target.kind !== 'subject') return;
    const { id, belowVersion } = target;
    const seconds = target.notBefore.getTime() / 1000;
    raise(this.#notBefore, id, seconds);
    if (belowVersion === undefined) raise(this.#notBeforeForAll, id, seconds);
    else raise(this.#belowVersion, id, belowVersion);
  }

  /**
   * Whether a token is revoked, or what one of its actors acts with. Allocates nothing.
   *
   * A subject's token that has a version is revoked by it, without any clock (S15). Otherwise time
   * decides: `iat` is in whole seconds. A subject's token is revoked if its `iat` is before the moment. This
   * covers all tokens of the moment's own second, issued before it or after: no revoked token passes,
   * and no token from the next full second on is refused.
   */
  covers(token: CheckedToken): boolean {
    if (this.#coversOwn(token)) return true;
    for (const actor of token.actors) if (this.covers(actor)) return true;
    return false;
  }

  #coversOwn(token: CheckedToken): boolean {
    const { session, token: tokens, signing_key: keys, api_key: apiKeys } = this.#expiries;
    if (session.has(token.sessionId) || tokens.has(token.tokenId) || keys.has(token.keyId)) {
      return true;
    }
    if (apiKeys.has(token.apiKeyId)) return true;
    const { subject, tokenVersion } = token;
    // An API key is not one of its owner's tokens, and has no time of issue.
    if (token.issuedAt === Number.POSITIVE_INFINITY) return false;
    const belowVersion = this.#belowVersion.get(subject) ?? 0;
    if (tokenVersion !== undefined && tokenVersion < belowVersion) return true;
    const times = tokenVersion === undefined ? this.#notBefore : this.#notBeforeForAll;
    const notBefore = times.get(subject);
    return notBefore !== undefined && token.issuedAt < notBefore;
  }

  /** Whether all tokens of a signing key are revoked. */
  coversKey(keyId: string): boolean {
    return this.#expiries.signing_key.has(keyId);
  }

  /** Forgets the revocations whose tokens have all expired. */
  forgetExpired(nowMs: number): void {
    for (const expiries of Object.values(this.#expiries)) {
      for (const [id, expiresAt] of expiries) if (expiresAt <= nowMs) expiries.delete(id);
    }
    for (const id of this.#notBefore.keys()) {
      if (this.#expiries.subject.has(id)) continue;
      for (const each of [this.#notBefore, this.#notBeforeForAll, this.#belowVersion])
        each.delete(id);
    }
  }
}

function raise(values: Map<string, number>, id: string, value: number): void {
  values.set(id, Math.max(values.get(id) ?? 0, value));
}
