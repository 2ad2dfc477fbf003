import { setTimeout as sleep } from 'node:timers/promises';
import type { NotedAttempt } from './due-delivery.repository.ts';

/** How long an attempt stays unwritten, so that several go together. */
const NOTE_AFTER_MS = 100;
const RETRY_MS = 1000;

/** The attempts of a lane that are to be written down. */
export class AttemptNotes {
  readonly #write: (attempts: readonly NotedAttempt[]) => Promise<boolean>;
  readonly #mayWrite: () => boolean;
  #waiting: NotedAttempt[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `write` says whether it has succeeded; it is tried again as long as `mayWrite` says so. */
  constructor(
    write: (attempts: readonly NotedAttempt[]) => Promise<boolean>,
    mayWrite: () => boolean,
  ) {
    this.#write = write;
    this.#mayWrite = mayWrite;
  }

  /** Has an attempt written down soon. */
  add(attempt: NotedAttempt): void {
    this.#waiting.push(attempt);
    this.#timer ??= setTimeout(() => void this.flush(), NOTE_AFTER_MS);
  }

  /** Writes down all there are. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(async () => {
      const attempts = this.#waiting;
      this.#waiting = [];
      if (attempts.length === 0) return;
      while (!(await this.#write(attempts)) && this.#mayWrite()) await sleep(RETRY_MS);
    });
    return this.#writing;
  }
}
