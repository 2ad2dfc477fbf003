import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import { unavailable } from './errors.ts';
import { type HeardParts, HeardRevocations, SILENCE_MS, TooManyRevocations } from './heard.ts';
import type { Principal } from './principal.ts';
import type { CountersignService } from './service.ts';

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;
/** After so many failures, the longest. */
const MANY_FAILURES = 5;

export type FeedParts = HeardParts & { readonly service: Pick<CountersignService, 'watch'> };

/** The revocations in force, followed by `WatchRevocations` for as long as the verifier lives. */
export class RevocationFeed {
  readonly #parts: FeedParts;
  readonly #heard: HeardRevocations;
  readonly #closing = new AbortController();
  #messageAt = 0;
  #failures = 0;
  #stream: AbortController | undefined;
  /** Why the stream before this one ended, if it failed. */
  #failed: Error | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#heard = new HeardRevocations(parts);
    void this.#run();
  }

  /** `starting` until it has heard what is in force, then `ready`, and `stale` while it can't hear. */
  get state(): 'starting' | 'ready' | 'stale' {
    if (this.isFresh) return 'ready';
    return this.staleForMs === Number.POSITIVE_INFINITY ? 'starting' : 'stale';
  }

  /** Whether everything that was revoked longer ago than the bound has been heard. */
  get isFresh(): boolean {
    return this.#heard.isFresh;
  }

  /** How long ago the last moment was up to which everything has been heard (ms). */
  get staleForMs(): number {
    return this.#heard.staleForMs;
  }

  get size(): number {
    return this.#heard.size;
  }

  covers(principal: Principal): boolean {
    return this.#heard.covers(principal);
  }

  coversKey(keyId: string): boolean {
    return this.#heard.coversKey(keyId);
  }

  /** Resolves when it has heard what is in force. Rejects as UNAVAILABLE after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void> {
    if (this.isFresh) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        off();
        const { message = 'it did not answer' } = this.#failed ?? {};
        reject(unavailable(`Countersign has not been heard in time: ${message}`, this.#failed));
      }, timeoutMs);
      const off = this.#parts.events.on('ready', () => {
        off();
        clearTimeout(timer);
        resolve();
      });
    });
  }

  close(): void {
    this.#closing.abort();
    this.#stream?.abort();
  }

  /** Ends a stream that has gone silent, and tells the owner of a change of state. Called regularly. */
  tick(): void {
    const { clock } = this.#parts;
    if (this.#stream && clock.monotonic() - this.#messageAt > SILENCE_MS) {
      this.#stream.abort(new Error('the stream of revocations went silent'));
    }
    this.#heard.tellState();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#follow();
      } catch (error) {
        if (error instanceof TooManyRevocations) this.#failures = MANY_FAILURES;
        this.#failed = problem(error);
        if (!signal.aborted) this.#parts.events.emit('error', this.#failed);
      }
      await sleep(this.#retryMs(), undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Growing, and spread: all verifiers of a service lose it in the same moment. */
  #retryMs(): number {
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    return longest * (0.2 + 0.8 * Math.random());
  }

  async #follow(): Promise<void> {
    const { service, clock } = this.#parts;
    const stream = new AbortController();
    this.#stream = stream;
    this.#messageAt = clock.monotonic();
    const cursor = this.#heard.beginStream();
    try {
      for await (const message of service.watch(cursor, stream.signal)) {
        this.#messageAt = clock.monotonic();
        this.#failures = 0;
        this.#heard.take(message);
      }
    } finally {
      this.#stream = undefined;
      stream.abort();
    }
  }
}

/** Says what to do where the verifier itself is refused. */
function problem(error: unknown): Error {
  const { code } = ConnectError.from(error);
  if (code !== Code.PermissionDenied && code !== Code.Unauthenticated) return error as Error;
  const message =
    'Countersign refuses this verifier: its credential needs the permission tokens.introspect';
  return new Error(message, { cause: error });
}
