import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import type {
  Checkpoint,
  Revocation,
  WatchRevocationsResponse,
} from '../gen/countersign/v1/session_service_pb.ts';
import type { Events } from './events.ts';
import type { Principal } from './principal.ts';
import { RevocationSet, secondsOf } from './revocation-set.ts';
import type { CountersignService } from './service.ts';
import { type Clock, type ServiceClock, Since } from './service-clock.ts';

/** The service sends a checkpoint every 5 seconds: after three of them the stream is dead. */
const SILENCE_MS = 15_000;
const SWEEP_MS = 30_000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;

export type FeedParts = {
  readonly service: Pick<CountersignService, 'watch'>;
  readonly clock: Clock;
  readonly serviceClock: ServiceClock;
  readonly events: Events;
  readonly staleAfterMs: number;
  readonly maxRevocations: number;
  /** Called with each revocation as it is heard, also of those in force at the beginning. */
  readonly onRevocation: (revocation: Revocation) => void;
};

/** The revocations in force, followed by `WatchRevocations` for as long as the verifier lives. */
export class RevocationFeed {
  readonly #parts: FeedParts;
  readonly #closing = new AbortController();
  #set = new RevocationSet();
  /** What a stream that began anew has told so far: it takes the set's place once it is complete. */
  #next: RevocationSet | undefined;
  #cursor = '';
  /** The moment up to which everything has been heard. */
  #heard: Since | undefined;
  #messageAt = 0;
  #sweptAt = 0;
  #failures = 0;
  #stream: AbortController | undefined;
  #wasFresh = false;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    void this.#run();
  }

  /** Whether everything that was revoked longer ago than the bound has been heard. */
  get isFresh(): boolean {
    return this.staleForMs < this.#parts.staleAfterMs;
  }

  /** How long ago the last moment was up to which everything has been heard (ms). */
  get staleForMs(): number {
    return this.#heard?.ms ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#set.size + (this.#next?.size ?? 0);
  }

  covers(principal: Principal): boolean {
    return this.#set.covers(principal) || (this.#next?.covers(principal) ?? false);
  }

  coversKey(keyId: string): boolean {
    return this.#set.coversKey(keyId) || (this.#next?.coversKey(keyId) ?? false);
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
    this.#tellState();
  }

  #tellState(): void {
    const { isFresh } = this;
    if (isFresh === this.#wasFresh) return;
    this.#wasFresh = isFresh;
    this.#parts.events.emit(isFresh ? 'ready' : 'stale');
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#follow();
      } catch (error) {
        if (!signal.aborted) this.#parts.events.emit('error', problem(error));
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
    const { service, clock, serviceClock } = this.#parts;
    // What began anew and was cut off begins anew again.
    if (this.#next) this.#cursor = '';
    if (this.#cursor === '') this.#next = new RevocationSet();
    const stream = new AbortController();
    this.#stream = stream;
    this.#messageAt = clock.monotonic();
    serviceClock.beginStream();
    try {
      for await (const message of service.watch(this.#cursor, stream.signal)) {
        this.#messageAt = clock.monotonic();
        this.#failures = 0;
        this.#take(message);
      }
    } finally {
      this.#stream = undefined;
      stream.abort();
    }
  }

  #take({ cursor, event }: WatchRevocationsResponse): void {
    this.#cursor = cursor;
    if (event.case === 'revocation') this.#add(event.value);
    else if (event.case === 'checkpoint') this.#confirm(event.value);
    else if (event.case === 'resync') this.#next = new RevocationSet();
  }

  #add(revocation: Revocation): void {
    const { maxRevocations, onRevocation, events } = this.#parts;
    const set = this.#next ?? this.#set;
    set.add(revocation);
    if (set.size > maxRevocations) this.#giveUp();
    onRevocation(revocation);
    const { target, cause } = revocation;
    if (target.case === undefined) return;
    const id = target.case === 'subject' ? target.value.subject : target.value;
    // Those in force at the beginning are no news.
    if (!this.#next) events.emit('revocation', { kind: KINDS[target.case], id, cause });
  }

  /** More than there is room for: without all of them, none can be relied on. */
  #giveUp(): never {
    this.#set = new RevocationSet();
    this.#next = undefined;
    this.#cursor = '';
    this.#heard = undefined;
    this.#failures = Math.max(this.#failures, 5);
    throw new Error('there are more revocations in force than `maxRevocations` allows');
  }

  #confirm({ asOf, caughtUp }: Checkpoint): void {
    const { clock, serviceClock, staleAfterMs } = this.#parts;
    const agoMs = asOf ? serviceClock.note(secondsOf(asOf, 0) * 1000) : 0;
    // No message is that late on a stream that is not silent: the clocks have moved apart.
    if (agoMs >= Math.min(SILENCE_MS, staleAfterMs))
      throw new Error('a clock was set; revocations are heard anew');
    if (this.#next && !caughtUp) return;
    this.#tellState();
    if (this.#next) this.#set = this.#next;
    this.#next = undefined;
    this.#heard = new Since(clock, agoMs);
    this.#tellState();
    if (clock.monotonic() - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = clock.monotonic();
    this.#set.forgetExpired(serviceClock.nowMs());
  }
}

const KINDS = {
  sessionId: 'session',
  tokenId: 'token',
  subject: 'subject',
  apiKeyId: 'api_key',
  signingKeyId: 'signing_key',
} as const;

/** Says what to do where the verifier itself is refused. */
function problem(error: unknown): Error {
  const { code } = ConnectError.from(error);
  if (code !== Code.PermissionDenied && code !== Code.Unauthenticated) return error as Error;
  const message =
    'Countersign refuses this verifier: its credential needs the permission tokens.introspect';
  return new Error(message, { cause: error });
}
