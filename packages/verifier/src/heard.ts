import type {
  Checkpoint,
  Revocation,
  WatchRevocationsResponse,
} from '../gen/countersign/v1/session_service_pb.ts';
import type { Events } from './events.ts';
import type { Principal } from './principal.ts';
import { RevocationSet, secondsOf } from './revocation-set.ts';
import { type Clock, type ServiceClock, Since } from './service-clock.ts';

/** The service sends a checkpoint every 5 seconds: after three of them the stream is dead. */
export const SILENCE_MS = 15_000;
const SWEEP_MS = 30_000;

export type HeardParts = {
  readonly clock: Clock;
  readonly serviceClock: ServiceClock;
  readonly events: Events;
  readonly staleAfterMs: number;
  readonly maxRevocations: number;
  /** Called with each revocation as it is heard, also of those in force at the beginning. */
  readonly onRevocation: (revocation: Revocation) => void;
};

/** There are more revocations than there is room for: without all of them, none can be relied on. */
export class TooManyRevocations extends Error {
  override readonly name = 'TooManyRevocations';
}

/** What has been heard of the revocations in force, and up to which moment. */
export class HeardRevocations {
  readonly #parts: HeardParts;
  #set = new RevocationSet();
  /** What a stream that began anew has told so far: it takes the set's place once it is complete. */
  #next: RevocationSet | undefined;
  #cursor = '';
  /** The moment up to which everything has been heard. */
  #heard: Since | undefined;
  #sweptAt = 0;
  #wasFresh = false;

  constructor(parts: HeardParts) {
    this.#parts = parts;
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

  /** Tells the owner of a change of state. */
  tellState(): void {
    const { isFresh } = this;
    if (isFresh === this.#wasFresh) return;
    this.#wasFresh = isFresh;
    this.#parts.events.emit(isFresh ? 'ready' : 'stale');
  }

  /** Returns the cursor that a new stream continues from; empty if it has to tell everything. */
  beginStream(): string {
    // What began anew and was cut off begins anew again.
    if (this.#next) this.#cursor = '';
    if (this.#cursor === '') this.#next = new RevocationSet();
    this.#parts.serviceClock.beginStream();
    return this.#cursor;
  }

  /** Takes the next message of the stream. Throws if the stream must begin anew. */
  take({ cursor, event }: WatchRevocationsResponse): void {
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

  #giveUp(): never {
    this.#set = new RevocationSet();
    this.#next = undefined;
    this.#cursor = '';
    this.#heard = undefined;
    throw new TooManyRevocations(
      'there are more revocations in force than `maxRevocations` allows',
    );
  }

  #confirm({ asOf, caughtUp }: Checkpoint): void {
    const { clock, serviceClock, staleAfterMs } = this.#parts;
    const agoMs = asOf ? serviceClock.note(secondsOf(asOf, 0) * 1000) : 0;
    // No message is that late on a stream that is not silent: the clocks have moved apart.
    if (agoMs >= Math.min(SILENCE_MS, staleAfterMs))
      throw new Error('a clock was set; revocations are heard anew');
    if (this.#next && !caughtUp) return;
    this.tellState();
    if (this.#next) this.#set = this.#next;
    this.#next = undefined;
    this.#heard = new Since(clock, agoMs);
    this.tellState();
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
