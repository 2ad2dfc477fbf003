import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Caller } from '../platform/caller.ts';
import { unavailable } from '../platform/failure.ts';
import { FairLane } from '../platform/fair-lane.ts';
import { networkOf } from '../platform/net.ts';

/** The estimate of a password. */
export type Strength = {
  /** Whether it is on a list of common passwords, as typed or in lower case. */
  isCommon: boolean;
  /** On zxcvbn's scale: 0 (fewer than a thousand guesses) to 4 (more than ten billion). */
  score: number;
  /** One sentence that says why it is easy to guess; empty if there is no particular reason. */
  warning: string;
  /** Sentences that each say what would make it better. */
  suggestions: string[];
};

/** What the worker thread is asked. */
export type StrengthQuestion = { password: string; ownWords: readonly string[] };

/** An estimate takes 8 ms, the slowest 75 ms: the last one waits a second and a half at worst. */
const MAX_WAITING = 20;
const TOO_MANY = 'too many passwords are waiting to be judged; try again later';
/** Sixty times what loading and the slowest password take: a thread that takes longer hangs. */
const MAX_MS = 30_000;
/** The dictionaries take 40 MB. Without a limit, garbage would take a hundred more. */
const MAX_HEAP_MB = 96;
/** After this time without a question the thread ends and gives back its 90 MB. */
const IDLE_MS = 30_000;
/** The program runs from its sources and in compiled form. */
const WORKER = import.meta.url.endsWith('.ts')
  ? './password-strength-worker.ts'
  : './password-strength-worker.js';

/**
 * Estimates how hard passwords are to guess, one at a time, in a separate thread: neither loading the
 * dictionaries (a quarter of a second, once, at the first question) nor a hostile password delays other
 * calls (C12). No address can fill the queue and keep the others out.
 */
export class PasswordStrength {
  readonly #lane = new FairLane(MAX_WAITING, TOO_MANY);
  readonly #idleMs: number;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor({ idleMs = IDLE_MS } = {}) {
    this.#idleMs = idleMs;
  }

  /** Whether the thread is there, with its dictionaries. */
  get isLoaded(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Takes a normalised password and normalised words. Throws `OVERLOADED` if too many wait, and
   * `DEPENDENCY_UNAVAILABLE` if the thread fails or hangs; the next question starts another thread.
   */
  judge(
    password: string,
    ownWords: readonly string[],
    { ipAddress, signal }: Pick<Caller, 'ipAddress' | 'signal'>,
  ): Promise<Strength> {
    return this.#lane.run(networkOf(ipAddress), signal, () => this.#ask({ password, ownWords }));
  }

  /** Ends the thread. Any later question starts another. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #ask(question: StrengthQuestion): Promise<Strength> {
    clearTimeout(this.#idle);
    this.#worker ??= start();
    const worker = this.#worker;
    const timeout = AbortSignal.timeout(MAX_MS);
    const ended = new AbortController();
    const onExit = () => ended.abort();
    worker.once('exit', onExit);
    worker.ref();
    try {
      worker.postMessage(question);
      const signal = AbortSignal.any([timeout, ended.signal]);
      const [strength] = await once(worker, 'message', { signal });
      return strength as Strength;
    } catch (error) {
      await this.close();
      throw unavailable('the check of password strength', error);
    } finally {
      worker.off('exit', onExit);
      worker.unref();
      this.#idle = setTimeout(() => void this.close(), this.#idleMs).unref();
    }
  }
}

/** Starts a thread without environment variables that does not keep the process alive. */
function start(): Worker {
  const worker = new Worker(new URL(WORKER, import.meta.url), {
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: 8 },
  });
  // An error without a listener would end the process; `once` passes it on to the waiting caller.
  worker.on('error', () => {});
  worker.unref();
  return worker;
}
