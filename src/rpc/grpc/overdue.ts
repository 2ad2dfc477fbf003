/** How often it looks while one item becomes due: nothing is late by more than a tenth. */
const LOOKS = 10;

/** An item's place in the row of those that may become overdue. */
export type Place<T> = {
  readonly item: T;
  readonly dueMs: number;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
};

/**
 * Does something about the items that are still there after so many milliseconds. One timer looks
 * after all of them: nearly every item is gone long before, and a timer for each, with what it leaves
 * to collect, costs a call more than its own work does.
 *
 * A linked row, and not a `Map`: what a `Map` leaves behind when it grows points to what it grew into,
 * so that the collector takes nearly every call for one that is still there.
 */
export class Overdue<T> {
  readonly #afterMs: number;
  readonly #act: (item: T) => void;
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number, act: (item: T) => void) {
    this.#afterMs = afterMs;
    this.#act = act;
  }

  add(item: T): Place<T> {
    const dueMs = performance.now() + this.#afterMs;
    const place: Place<T> = { item, dueMs, previous: this.#last, next: undefined };
    if (this.#last) this.#last.next = place;
    else this.#first = place;
    this.#last = place;
    this.#timer ??= setInterval(() => this.#look(), this.#afterMs / LOOKS).unref();
    return place;
  }

  /** Takes an item out, if it is still there. */
  remove(place: Place<T>): void {
    const { previous, next } = place;
    if (this.#first === place) this.#first = next;
    if (this.#last === place) this.#last = previous;
    if (previous) previous.next = next;
    if (next) next.previous = previous;
    place.previous = undefined;
    place.next = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (let place = this.#first; place; place = this.#first) {
      if (place.dueMs > now) return;
      this.remove(place);
      this.#act(place.item);
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
