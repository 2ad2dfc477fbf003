const BAR_WIDTH = 30;
const REDRAW_MS = 200;
const LINE_EVERY_MS = 10_000;

/**
 * Shows the progress of long work on standard error: a bar on a terminal, otherwise occasional lines.
 */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #startedAt = performance.now();
  #shownAt = Number.NEGATIVE_INFINITY;
  #done = 0;
  #shown: number | undefined;
  #first: number | undefined;

  /** `what` is counted, for example `sessions`. */
  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  /** Notes that this much is done, and shows it from time to time. */
  at(done: number): void {
    this.#first ??= done;
    this.#done = done;
    const now = performance.now();
    if (now - this.#shownAt < (process.stderr.isTTY ? REDRAW_MS : LINE_EVERY_MS)) return;
    this.#shownAt = now;
    this.#show();
  }

  /** Shows the last state, which stays on the screen. */
  end(): void {
    if (this.#shown !== this.#done) this.#show();
    if (process.stderr.isTTY) process.stderr.write('\n');
  }

  #show(): void {
    this.#shown = this.#done;
    const part = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const numbers = `${this.#done.toLocaleString('en-US')} of ${this.#total.toLocaleString('en-US')} ${this.#what}`;
    const text = `${Math.floor(part * 100)} %  ${numbers}${this.#timeLeft()}`;
    if (!process.stderr.isTTY) {
      process.stderr.write(`  ${text}\n`);
      return;
    }
    const filled = Math.round(part * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    process.stderr.write(`\r\x1b[K  ${bar}  ${text}`);
  }

  #timeLeft(): string {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const rate = (this.#done - (this.#first ?? 0)) / seconds;
    if (!(rate > 0) || this.#done >= this.#total) return '';
    return `, ${Math.ceil((this.#total - this.#done) / rate)} s left`;
  }
}
