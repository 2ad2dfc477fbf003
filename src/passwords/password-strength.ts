import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { BulkheadRejectedError, bulkhead, TaskCancelledError } from 'cockatiel';
import { Failure, unavailable } from '../platform/failure.ts';

/** What an estimate says of a password. */
export type Strength = {
  /** Whether it is, in any case of its letters, on a list of common passwords. */
  isCommon: boolean;
  /** zxcvbn's: 0 (fewer than a thousand guesses) to 4 (more than ten thousand million). */
  score: number;
  /** Why it is easy to guess, a sentence; '' where nothing particular is. */
  warning: string;
  /** What would make it better, a sentence each. */
  suggestions: string[];
};

/** What the worker is asked. */
export type StrengthQuestion = { password: string; ownWords: readonly string[] };

/** At 8 ms each, and 75 ms for the slowest there is: the last waits a second and a half at worst. */
const MAX_WAITING = 20;
/** Twenty times what loading and the slowest password take together: who is silent for so long hangs. */
const MAX_MS = 10_000;
/** The dictionaries take 40 of them. Without a limit garbage would take a hundred more. */
const MAX_HEAP_MB = 96;
/** The program runs from its sources, and as what they were compiled to. */
const WORKER = import.meta.url.endsWith('.ts')
  ? './password-strength-worker.ts'
  : './password-strength-worker.js';

/**
 * Estimates how hard passwords are to guess, one at a time and in a thread of its own: neither
 * loading the dictionaries (a quarter of a second, once, at the first question) nor a hostile
 * password holds up the calls of others (C12).
 */
export class PasswordStrength {
  readonly #lane = bulkhead(1, MAX_WAITING);
  #worker: Worker | undefined;

  /**
   * `password` and `ownWords` are normalised already. Throws `OVERLOADED` when too many wait, and
   * `DEPENDENCY_UNAVAILABLE` when the thread fails or is silent; the next question starts another.
   */
  async judge(
    password: string,
    ownWords: readonly string[],
    signal: AbortSignal,
  ): Promise<Strength> {
    try {
      return await this.#lane.execute(() => this.#ask({ password, ownWords }), signal);
    } catch (error) {
      if (error instanceof TaskCancelledError && signal.aborted) throw signal.reason;
      if (!(error instanceof BulkheadRejectedError)) throw error;
      throw new Failure('exhausted', 'OVERLOADED', 'too many passwords are waiting to be judged', {
        retryAfterMs: 2000,
      });
    }
  }

  /** Ends the thread. A question after that starts another. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #ask(question: StrengthQuestion): Promise<Strength> {
    this.#worker ??= start();
    const worker = this.#worker;
    const silence = AbortSignal.timeout(MAX_MS);
    const ended = new AbortController();
    const onExit = () => ended.abort();
    worker.once('exit', onExit);
    worker.ref();
    try {
      worker.postMessage(question);
      const signal = AbortSignal.any([silence, ended.signal]);
      const [strength] = await once(worker, 'message', { signal });
      return strength as Strength;
    } catch (error) {
      await this.close();
      throw unavailable('the judging of passwords', error);
    } finally {
      worker.off('exit', onExit);
      worker.unref();
    }
  }
}

/** A thread that knows nothing of the environment, and keeps no process alive that asks it nothing. */
function start(): Worker {
  const worker = new Worker(new URL(WORKER, import.meta.url), {
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: 8 },
  });
  // An error without a listener would end the process; who waits for an answer gets it from `once`.
  worker.on('error', () => {});
  worker.unref();
  return worker;
}
