import { Failure } from './failure.ts';

type Waiter = { go: () => void; refuse: (reason: unknown) => void };

/**
 * Runs one task at a time and keeps a bounded number waiting: different keys take turns, and tasks with
 * the same key run in order of arrival. If all places are taken, a newcomer takes the last place of the
 * key that has the most, unless its own key would then have as many; a task without a place is refused
 * as `OVERLOADED`. So nobody's flood keeps others out.
 */
export class FairLane {
  readonly #places: number;
  readonly #refusal: string;
  /** The waiting tasks by key. The key whose turn is next comes first. */
  readonly #waiting = new Map<string, Waiter[]>();
  #taken = 0;
  #isBusy = false;

  constructor(places: number, refusal: string) {
    this.#places = places;
    this.#refusal = refusal;
  }

  /** Runs `work` when its turn has come. Throws the reason of `signal` if that fires first. */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#isBusy) await this.#wait(key, signal);
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  async #wait(key: string, signal: AbortSignal): Promise<void> {
    if (this.#taken >= this.#places) this.#makeRoomFor(key);
    const { promise, resolve: go, reject: refuse } = Promise.withResolvers<void>();
    const waiter = { go, refuse };
    const giveUp = () => {
      if (this.#remove(key, waiter)) refuse(signal.reason);
    };
    this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), waiter]);
    this.#taken += 1;
    signal.addEventListener('abort', giveUp, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', giveUp));
  }

  /** Frees the last place of the key that has the most, or throws if that would not be fair. */
  #makeRoomFor(key: string): void {
    const [most, queue = []] =
      [...this.#waiting].sort(([, one], [, other]) => other.length - one.length)[0] ?? [];
    const last = queue.at(-1);
    const own = this.#waiting.get(key)?.length ?? 0;
    if (most === undefined || !last || queue.length < own + 2) throw this.#overloaded();
    this.#remove(most, last);
    last.refuse(this.#overloaded());
  }

  /** Starts the next task, and moves the other tasks with its key behind everyone else. */
  #next(): void {
    const [key, [waiter] = []] = this.#waiting.entries().next().value ?? [];
    this.#isBusy = waiter !== undefined;
    if (key === undefined || !waiter) return;
    this.#remove(key, waiter);
    const others = this.#waiting.get(key);
    if (others && this.#waiting.delete(key)) this.#waiting.set(key, others);
    waiter.go();
  }

  /** Returns whether the task was still waiting. */
  #remove(key: string, waiter: Waiter): boolean {
    const queue = this.#waiting.get(key) ?? [];
    const others = queue.filter((other) => other !== waiter);
    if (others.length === queue.length) return false;
    this.#taken -= 1;
    if (others.length > 0) this.#waiting.set(key, others);
    else this.#waiting.delete(key);
    return true;
  }

  #overloaded(): Failure {
    return new Failure('exhausted', 'OVERLOADED', this.#refusal, { retryAfterMs: 2000 });
  }
}
