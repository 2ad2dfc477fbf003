import type { Revocation } from '../gen/countersign/v1/session_service_pb.ts';
import type { Verdict } from './api-keys.ts';
import { unavailable, VerifierError } from './errors.ts';
import type { Principal } from './principal.ts';
import type { Clock } from './service-clock.ts';

/** At most this often are all streams judged, however much is revoked at once (ms). */
const LEAST_GAP_MS = 50;
/** And at least this often, for the end of a token (ms). */
const LONGEST_GAP_MS = 500;

/**
 * How long (ms) after something was taken from its owner a key is asked about once more: the service hears
 * of revocations and of changed keys apart, and may have answered from between the two.
 */
const SETTLES_MS = 2000;
/** Of streams that end at once, so many end before the next are written (see `#endSome`). */
const ENDED_AT_ONCE = 250;

/** Who presents a credential, as far as that matters: keys may be limited to networks. */
export type Presented = { readonly ipAddress?: string | undefined };

/** A stream that a credential opened. */
export type OpenStream = {
  readonly credential: string;
  readonly presented: Presented;
  readonly verdict: Verdict;
  /** Throws if the principal may no longer open it. */
  readonly requires: (principal: Principal) => void;
  /** Ends it, whatever its handler does. */
  readonly end: (error: VerifierError) => void;
};

type Ending = { readonly held: OpenStream; readonly error: VerifierError };
type Held = OpenStream & { verdict: Verdict; askedAt: number; isAsking: boolean };

type Parts = {
  readonly objection: (principal: Principal) => VerifierError | undefined;
  readonly identify: (credential: string, presented: Presented) => Verdict | Promise<Verdict>;
  readonly clock: Clock;
  /** Whether to ask the service while revocations are not heard, and how often (ms). */
  readonly asks: boolean;
  readonly askEveryMs: number;
  /** How often to ask about an API key, whose changes revocations don't tell (ms). */
  readonly recheckMs: number;
};

/** Ends streams whose credential no longer opens them. */
export class OpenStreams {
  readonly #parts: Parts;
  readonly #held = new Set<Held>();
  /** Whose keys to ask about when the streams are judged next. */
  readonly #subjects = new Set<string>();
  /** Whose keys to ask about once more, and from when on. */
  readonly #later = new Map<string, number>();
  /** Streams that no credential holds open any more. */
  #ending: Ending[] = [];
  #judgedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Ends a stream when its credential does. Returns what to call when it has ended by itself. */
  add(stream: OpenStream): () => void {
    const held: Held = { ...stream, askedAt: this.#parts.clock.monotonic(), isAsking: false };
    this.#held.add(held);
    return () => this.#held.delete(held);
  }

  /** Something was revoked: of many revocations at once, the streams are judged by all. */
  hear({ target }: Revocation): void {
    if (target.case === 'subject') {
      this.#subjects.add(target.value.subject);
      this.#later.set(target.value.subject, performance.now() + SETTLES_MS);
    }
    const sinceMs = performance.now() - this.#judgedAt;
    this.#timer ??= setTimeout(() => this.#judgeAll(), Math.max(0, LEAST_GAP_MS - sinceMs)).unref();
  }

  tick(): void {
    if (performance.now() - this.#judgedAt >= LONGEST_GAP_MS) this.#judgeAll();
  }

  /** Ends them all: nobody would end them when their credentials do. */
  close(): void {
    clearTimeout(this.#timer);
    for (const held of this.#held) this.#end(held, unavailable('the verifier is closed'));
  }

  #judgeAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = performance.now();
    this.#judgedAt = now;
    for (const [subject, due] of this.#later) {
      if (due > now) continue;
      this.#later.delete(subject);
      this.#subjects.add(subject);
    }
    for (const held of this.#held) this.#judge(held);
    this.#subjects.clear();
  }

  #judge(held: Held): void {
    const { objection: objectionTo, clock, asks, askEveryMs } = this.#parts;
    const { isLimited, principal } = held.verdict;
    const objection = objectionTo(principal);
    if (!objection) {
      if (this.#isDoubtful(held)) void this.#askAgain(held);
      return;
    }
    // Asking about a key with a limit counts as a use of it.
    const maySettle = !objection.isRefusal && !isLimited && (asks || isKey(held));
    if (!maySettle) this.#end(held, objection);
    else if (clock.monotonic() - held.askedAt >= askEveryMs) void this.#askAgain(held);
  }

  /** Whether what is known here says too little about the credential. */
  #isDoubtful({ credential, verdict, askedAt }: Held): boolean {
    const { principal, isLimited } = verdict;
    // The service was asked about a token: by what is heard again it can be judged here.
    if (!credential.startsWith('csk_')) return principal.keyId === '';
    // Asking counts as a use of it: only something that was taken from its owner is worth that.
    if (isLimited) return this.#subjects.has(principal.subject);
    const isDue = this.#parts.clock.monotonic() - askedAt >= this.#parts.recheckMs;
    return isDue || this.#subjects.has(principal.subject);
  }

  async #askAgain(held: Held): Promise<void> {
    if (held.isAsking) return;
    held.isAsking = true;
    held.askedAt = this.#parts.clock.monotonic();
    try {
      held.verdict = await this.#parts.identify(held.credential, held.presented);
      held.requires(held.verdict.principal);
    } catch (error) {
      const failure = error instanceof VerifierError ? error : unavailable('not judged', error);
      if (failure.isRefusal) this.#end(held, failure);
      // An outage ends a stream only if nothing else confirms its credential.
      else if (this.#parts.objection(held.verdict.principal)) this.#end(held, failure);
    } finally {
      held.isAsking = false;
    }
  }

  #end(held: Held, error: VerifierError): void {
    if (!this.#held.delete(held)) return;
    if (this.#ending.length === 0) setImmediate(() => this.#endSome());
    this.#ending.push({ held, error });
  }

  /** A few at a time: what one has been sent leaves before the next is made, and calls are answered. */
  #endSome(): void {
    let ended = 0;
    try {
      for (const { held, error } of this.#ending.slice(0, ENDED_AT_ONCE)) {
        ended += 1;
        held.end(error);
      }
    } finally {
      // Whatever one of them throws, the others end.
      this.#ending.splice(0, ended);
      if (this.#ending.length > 0) setImmediate(() => this.#endSome());
    }
  }
}

function isKey({ credential }: OpenStream): boolean {
  return credential.startsWith('csk_');
}
