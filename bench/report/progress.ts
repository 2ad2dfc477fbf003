const BAR_WIDTH = 30;
const REDRAW_MS = 200;
const LINE_EVERY_MS = 10_000;

/** How far long work has come, on standard error: a bar on a terminal, elsewhere a line now and then. */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #startedAt = performance.now();
  #saidAt = Number.NEGATIVE_INFINITY;
  #done = 0;
  #said: number | undefined;
  #first: number | undefined;

  /** `what` is counted: `sessions`. */
  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  at(done: number): void {
    this.#first ??= done;
    this.#done = done;
    const now = performance.now();
    if (now - this.#saidAt < (process.stderr.isTTY ? REDRAW_MS : LINE_EVERY_MS)) return;
    this.#saidAt = now;
    this.#say();
  }

  /** Leaves the last state standing. */
  end(): void {
    if (this.#said !== this.#done) this.#say();
    if (process.stderr.isTTY) process.stderr.write('\n');
  }

  #say(): void {
    this.#said = this.#done;
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
