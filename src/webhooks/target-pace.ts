/** How many messages are on their way to a target that answers. To others it is one. */
const AT_ONCE = 4;
/** 20 a second, for a target that has come back; twice as many after each minute. */
const CATCH_UP_MS = 50;
const FASTER_AFTER_MS = 60_000;
/** A target that has failed for less was not away. */
const AWAY_MS = 10_000;

/** How fast a target is sent to. */
export class TargetPace {
  #answers = false;
  /** Since when it has been catching up, by `performance.now()`. */
  #backSince: number | undefined;
  #lastStart = Number.NEGATIVE_INFINITY;

  /** How many messages may be on their way. */
  get atOnce(): number {
    return this.#answers ? AT_ONCE : 1;
  }

  /** Whether the target has taken a message. */
  get answers(): boolean {
    return this.#answers;
  }

  /** Whether the target gets what it has missed. */
  get catchesUp(): boolean {
    return this.#backSince !== undefined;
  }

  /** Notes that the target has taken a message, after it had failed for so long (ms). */
  taken(failedForMs: number): void {
    this.#answers = true;
    if (failedForMs >= AWAY_MS) this.#backSince = performance.now();
  }

  /** How long (ms) the next message has to wait. */
  waitMs(): number {
    if (this.#backSince === undefined) return 0;
    const now = performance.now();
    const minutes = Math.floor((now - this.#backSince) / FASTER_AFTER_MS);
    return Math.max(this.#lastStart + CATCH_UP_MS / 2 ** minutes - now, 0);
  }

  started(): void {
    this.#lastStart = performance.now();
  }
}
