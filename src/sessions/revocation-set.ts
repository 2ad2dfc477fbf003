/** The revocations in force, in memory: what every token check of this replica asks. */
export class RevocationSet {
  /** Session ids, each with the time (ms) at which its last token has expired. */
  readonly #sessions = new Map<string, number>();

  addSession(sessionId: string, expiresAtMs: number): void {
    this.#sessions.set(sessionId, expiresAtMs);
  }

  hasSession(sessionId: string): boolean {
    return this.#sessions.has(sessionId);
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Forgets what no valid token can concern any more. */
  forgetExpired(nowMs: number): void {
    for (const [sessionId, expiresAt] of this.#sessions) {
      if (expiresAt <= nowMs) this.#sessions.delete(sessionId);
    }
  }
}
