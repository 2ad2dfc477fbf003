/** Where the time comes from; tests may set it. In milliseconds. */
export type Clock = {
  /** Since 1970. */
  now(): number;
  /** Of a clock that nobody sets. */
  monotonic(): number;
};

export const MACHINE_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/**
 * The service's time, whatever the clock of this machine says: tokens are judged by the clock that stamped
 * them. The service tells it with each checkpoint; until the first, this machine's clock has to do.
 */
export class ServiceClock {
  readonly #clock: Clock;
  /** The service's time minus the monotonic clock's. */
  #offsetMs: number | undefined;
  #isNewStream = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#offsetMs === undefined
      ? this.#clock.now()
      : this.#clock.monotonic() + this.#offsetMs;
  }

  nowSeconds(): number {
    return this.nowMs() / 1000;
  }

  /** Another replica may be asked from now on, whose clock may differ. */
  beginStream(): void {
    this.#isNewStream = true;
  }

  /**
   * Takes a time that the service has just told. Returns how long ago it was (ms): of all that a stream has
   * told, the one that took least time on its way shows the difference between the clocks.
   */
  note(serviceMs: number): number {
    const offset = serviceMs - this.#clock.monotonic();
    const known = this.#isNewStream ? undefined : this.#offsetMs;
    this.#isNewStream = false;
    this.#offsetMs = Math.max(offset, known ?? offset);
    return this.#offsetMs - offset;
  }
}

/** How long ago something was, by whichever clock says longer: a machine that slept stops one of them. */
export class Since {
  readonly #clock: Clock;
  readonly #wallMs: number;
  readonly #monotonicMs: number;

  constructor(clock: Clock, agoMs = 0) {
    this.#clock = clock;
    this.#wallMs = clock.now() - agoMs;
    this.#monotonicMs = clock.monotonic() - agoMs;
  }

  get ms(): number {
    const { now, monotonic } = { now: this.#clock.now(), monotonic: this.#clock.monotonic() };
    return Math.max(now - this.#wallMs, monotonic - this.#monotonicMs);
  }
}
