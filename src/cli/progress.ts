import type { Io } from './io.ts';

const DRAW_EVERY_MS = 100;
const SAY_EVERY_MS = 10_000;
const WIDTH = 30;

/**
 * Shows how far a long task has come: as a bar on a terminal, and as a line now and then elsewhere. On
 * stderr.
 */
export class Progress {
  readonly #io: Pick<Io, 'err' | 'isTerminal'>;
  readonly #startedAt = performance.now();
  readonly #everyMs: number;
  #nextMs: number;
  #isDrawn = false;

  constructor(io: Pick<Io, 'err' | 'isTerminal'>) {
    this.#io = io;
    this.#everyMs = io.isTerminal ? DRAW_EVERY_MS : SAY_EVERY_MS;
    this.#nextMs = this.#everyMs;
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** `share` is between 0 and 1. */
  at(rows: number, share: number): void {
    if (performance.now() - this.#startedAt < this.#nextMs) return;
    this.#nextMs = performance.now() - this.#startedAt + this.#everyMs;
    const done = Math.min(1, Math.max(0, share));
    const rate = rows / this.seconds;
    const text = `${Math.floor(done * 100)} %  ${rows} rows  ${Math.round(rate)} rows/s`;
    if (this.#io.isTerminal) this.#draw(text, done);
    else this.#io.err(`${text}\n`);
  }

  #draw(text: string, done: number): void {
    const filled = Math.round(done * WIDTH);
    const bar = `${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}`;
    this.#io.err(`\r\x1b[K[${bar}] ${text}`);
    this.#isDrawn = true;
  }

  /** Removes the bar, so that something else can be written. */
  clear(): void {
    if (this.#isDrawn) this.#io.err('\r\x1b[K');
    this.#isDrawn = false;
  }
}
