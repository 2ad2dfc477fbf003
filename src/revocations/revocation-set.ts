import type { RevocationTarget } from './revocation-target.ts';

/** What a check asks of a token. */
export type CheckedToken = {
  sessionId: string;
  tokenId: string;
  apiKeyId: string;
  subject: string;
  /** Whole seconds since 1970. */
  issuedAt: number;
  keyId: string;
};

/** The revocations in force, in memory: what every token check of this replica asks. */
export class RevocationSet {
  /** Ids, each with the time (ms) at which the last token that it concerns has expired. */
  readonly #expiries = {
    session: new Map<string, number>(),
    token: new Map<string, number>(),
    subject: new Map<string, number>(),
    api_key: new Map<string, number>(),
    signing_key: new Map<string, number>(),
  };
  /** Account ids, each with the moment (seconds, with their fraction) before which its tokens fell. */
  readonly #notBefore = new Map<string, number>();

  add(target: RevocationTarget, expiresAtMs: number): void {
    const expiries = this.#expiries[target.kind];
    expiries.set(target.id, Math.max(expiries.get(target.id) ?? 0, expiresAtMs));
    if (target.kind !== 'subject') return;
    const seconds = target.notBefore.getTime() / 1000;
    this.#notBefore.set(target.id, Math.max(this.#notBefore.get(target.id) ?? 0, seconds));
  }

  /**
   * Whether a token is revoked. It allocates nothing.
   *
   * `iat` is in whole seconds. An account's tokens are revoked if it lies before the moment, so that
   * those of the moment's own second are, whether they were issued before it or after: no revoked
   * token passes, and a token issued from the next full second on is never refused.
   */
  covers(token: CheckedToken): boolean {
    const { session, token: tokens, signing_key: keys, api_key: apiKeys } = this.#expiries;
    if (session.has(token.sessionId) || tokens.has(token.tokenId) || keys.has(token.keyId)) {
      return true;
    }
    if (apiKeys.has(token.apiKeyId)) return true;
    const notBefore = this.#notBefore.get(token.subject);
    return notBefore !== undefined && token.issuedAt < notBefore;
  }

  /** Whether all tokens of a key are revoked. */
  coversKey(keyId: string): boolean {
    return this.#expiries.signing_key.has(keyId);
  }

  /** Forgets what no valid token can concern any more. */
  forgetExpired(nowMs: number): void {
    for (const expiries of Object.values(this.#expiries)) {
      for (const [id, expiresAt] of expiries) if (expiresAt <= nowMs) expiries.delete(id);
    }
    for (const id of this.#notBefore.keys()) {
      if (!this.#expiries.subject.has(id)) this.#notBefore.delete(id);
    }
  }
}
