/** How often it checks within the time that one item has: nothing is late by more than a tenth. */
const CHECKS = 10;

/** An item's place in the list of those that may become overdue. */
export type Place<T> = {
  readonly item: T;
  readonly dueMs: number;
  previous: Place<T> | undefined;
  next: Place<T> | undefined;
};

/**
 * Acts on every item that is still there after a given number of milliseconds. One timer serves all
 * items: nearly all are removed long before they are due, and a timer for each, with the garbage that
 * it leaves, costs more than the call itself.
 *
 * A linked list instead of a `Map`: when a `Map` grows, its old table keeps a pointer to the new one,
 * so that the collector takes nearly every finished call for one that is still in use.
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
    this.#timer ??= setInterval(() => this.#check(), this.#afterMs / CHECKS).unref();
    return place;
  }

  /** Removes an item, if it is still there. */
  remove(place: Place<T>): void {
    const { previous, next } = place;
    if (this.#first === place) this.#first = next;
    if (this.#last === place) this.#last = previous;
    if (previous) previous.next = next;
    if (next) next.previous = previous;
    place.previous = undefined;
    place.next = undefined;
  }

  #check(): void {
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
