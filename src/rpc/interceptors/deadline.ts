import type { Interceptor, UnaryRequest } from '@connectrpc/connect';
import { callOf } from '../call.ts';
import { deadlineExceeded } from '../failures.ts';

/**
 * Answers a unary call when its deadline passes, whatever its work is waiting for. The work sees the
 * same signal and stops. Streams have no default deadline, and are ended by `shutdown`.
 */
export const deadline: Interceptor = (next) => (req) =>
  req.stream ? next(req) : inTime(req, next(req));

function inTime<T>(req: UnaryRequest, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const watch = new Watch(req, reject);
    startSoon(watch);
    answer.then(
      (value) => {
        watch.stop();
        resolve(value);
      },
      (reason) => {
        watch.stop();
        reject(reason);
      },
    );
  });
}

/** Watches one call: calls `over` when its time is up or its caller has gone. */
class Watch {
  readonly #req: UnaryRequest;
  readonly #over: (reason: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(req: UnaryRequest, over: (reason: unknown) => void) {
    this.#req = req;
    this.#over = over;
  }

  start(): void {
    if (this.#stopped) return;
    const { timeLimitMs } = callOf(this.#req.contextValues);
    this.#timer = setTimeout(() => this.#over(deadlineExceeded()), timeLimitMs);
    const { signal } = this.#req;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  stop(): void {
    this.#stopped = true;
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#req.signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#over(this.#req.signal.reason);
}

/** Calls that began in this turn of the event loop. */
let begun: Watch[] = [];

/**
 * Starts the watch at the end of this turn of the event loop: by then, most token checks have been
 * answered from memory, and need neither a timer nor a signal.
 */
function startSoon(watch: Watch): void {
  if (begun.length === 0) setImmediate(startBegun);
  begun.push(watch);
}

function startBegun(): void {
  const watches = begun;
  begun = [];
  for (const watch of watches) watch.start();
}
