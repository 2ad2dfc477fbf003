import { setTimeout as sleep } from 'node:timers/promises';
import { type Door, failureOf, isNotTaken } from './doors.ts';
import { type Accepted, type CallFailure, type CallRecord, type Loss, NO_ANSWER } from './judge.ts';
import type { Stage } from './stage.ts';

/** A call of a soak, by whichever replica has its turn. */
export type Work<T> = (door: Door) => Promise<T>;

type Outcome<T> = { answer: T } | { failure: CallFailure };

const PAUSE_MS = 200;
/** After this long without an answer, a caller who insists gives up. */
const PATIENCE_MS = 60_000;

/** Makes the calls of a soak, and writes down what came of them. */
export class Ledger {
  readonly calls: CallRecord[] = [];
  readonly lost: Loss[] = [];
  readonly accepted: Accepted[] = [];
  readonly untold: Loss[] = [];
  readonly #stage: Stage;
  #turn = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /**
   * Makes a call to the next replica, or to the other one if that does not take the connection, as a load
   * balancer does. `due` is when it should have begun. Returns the answer, or undefined if it failed.
   */
  async make<T>(kind: string, work: Work<T>, due?: number): Promise<T | undefined> {
    const outcome = await this.#attempt(kind, work, due);
    return 'answer' in outcome ? outcome.answer : undefined;
  }

  /** Repeats a call until it is answered, or refused for good. */
  async insist<T>(kind: string, work: Work<T>): Promise<Outcome<T>> {
    for (const end = performance.now() + PATIENCE_MS; ; ) {
      const outcome = await this.#attempt(kind, work);
      if ('answer' in outcome || performance.now() > end) return outcome;
      const { code, hasRetryInfo, reason } = outcome.failure;
      const isPassing = hasRetryInfo || reason === NO_ANSWER || code === 'DeadlineExceeded';
      if (!isPassing) return outcome;
      await sleep(PAUSE_MS);
    }
  }

  /** Writes down a stream that has ended. */
  async noteEnd(kind: string, from: number, thrown: unknown): Promise<void> {
    const until = this.#stage.since();
    this.calls.push({ kind, from, until, failure: await failureOf(thrown) });
  }

  lose(what: string): void {
    this.lost.push({ what, at: this.#stage.since() });
  }

  async #attempt<T>(kind: string, work: Work<T>, due = performance.now()): Promise<Outcome<T>> {
    const from = this.#stage.since(due);
    const [first, second] = this.#doors();
    try {
      const answer = await work(first).catch((thrown: unknown) => {
        if (!isNotTaken(thrown)) throw thrown;
        return work(second);
      });
      this.calls.push({ kind, from, until: this.#stage.since() });
      return { answer };
    } catch (thrown) {
      const until = this.#stage.since();
      const failure = await failureOf(thrown);
      this.calls.push({ kind, from, until, failure });
      return { failure };
    }
  }

  #doors(): [Door, Door] {
    const ready = this.#stage.replicas.filter(({ isReady }) => isReady);
    const replicas = ready.length > 0 ? ready : this.#stage.replicas;
    this.#turn += 1;
    const at = (turn: number) => replicas[turn % replicas.length]?.door as Door;
    return [at(this.#turn), at(this.#turn + 1)];
  }
}
