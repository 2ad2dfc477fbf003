/** How often it looks while one item becomes due: nothing is late by more than a tenth. */
const LOOKS = 10;

/**
 * Does something about the items that are still there after so many milliseconds. One timer looks
 * after all of them: nearly every item is gone long before, and a timer for each, with what it leaves
 * to collect, costs a call more than its own work does.
 */
export class Overdue<T> {
  readonly #afterMs: number;
  readonly #act: (item: T) => void;
  /** When each item becomes due; in the order in which they came, which is also that. */
  readonly #due = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number, act: (item: T) => void) {
    this.#afterMs = afterMs;
    this.#act = act;
  }

  add(item: T): void {
    this.#due.set(item, performance.now() + this.#afterMs);
    this.#timer ??= setInterval(() => this.#look(), this.#afterMs / LOOKS).unref();
  }

  delete(item: T): void {
    this.#due.delete(item);
  }

  #look(): void {
    const now = performance.now();
    for (const [item, due] of this.#due) {
      if (due > now) return;
      this.#due.delete(item);
      this.#act(item);
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
