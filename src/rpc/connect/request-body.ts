import { Code, ConnectError } from '@connectrpc/connect';
import type { Hold } from '../caller-connection.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import { declaredBytes, PREFIX_BYTES } from '../grpc/framing.ts';
import type { NodeRequest } from './node-request.ts';

const ENVELOPED = /^application\/(?:connect\+|grpc-web)/;

/** How a body is read. */
export type BodyOptions = {
  maxMessageBytes: number;
  /** How long it may take, if it is sent at once. */
  limitMs: number | undefined;
  hold: Hold | undefined;
};

/**
 * The body of a request in pieces that are whole: one for each message, or the whole body of a unary
 * call. Connect keeps a list of the pieces, which costs hundreds of bytes for each, and joins them
 * again for every piece. What is larger than a message may be is passed on for Connect to refuse.
 */
export async function* bodyOf(
  req: NodeRequest,
  { maxMessageBytes, limitMs, hold }: BodyOptions,
): AsyncGenerator<Uint8Array> {
  const isEnveloped = ENVELOPED.test(String(req.headers['content-type'] ?? ''));
  const gathered = new GatheredBytes(hold);
  const arrivals = new Arrivals(req, gathered, maxMessageBytes + PREFIX_BYTES);
  const timer = limitMs === undefined ? undefined : setTimeout(() => arrivals.expire(), limitMs);
  try {
    for (;;) {
      const isOver = await arrivals.more();
      const { bytes } = gathered;
      const length = isEnveloped
        ? wholeEnvelopes(bytes, maxMessageBytes)
        : wholeBody(bytes, maxMessageBytes);
      if (isOver ? bytes.length > 0 : length > 0)
        yield gathered.take(isOver ? bytes.length : length);
      if (isOver) return;
    }
  } finally {
    clearTimeout(timer);
    arrivals.stop();
    gathered.drop();
  }
}

/** The length of the complete envelopes at the start, or of everything if the next one is too large. */
function wholeEnvelopes(bytes: Buffer, maxMessageBytes: number): number {
  let end = 0;
  while (bytes.length >= end + PREFIX_BYTES) {
    const declared = declaredBytes(bytes.subarray(end));
    if (declared > maxMessageBytes) return bytes.length;
    if (bytes.length < end + PREFIX_BYTES + declared) return end;
    end += PREFIX_BYTES + declared;
  }
  return end;
}

/** A unary body is whole at its end, unless it is too large already. */
function wholeBody(bytes: Buffer, maxMessageBytes: number): number {
  return bytes.length > maxMessageBytes ? bytes.length : 0;
}

/** Gathers what arrives, pauses its sender while nobody takes it, and tells how the request ends. */
class Arrivals {
  readonly #req: NodeRequest;
  readonly #gathered: GatheredBytes;
  readonly #enough: number;
  #arrived = 0;
  #seen = 0;
  #end: { error?: ConnectError } | undefined;
  #wake: (() => void) | undefined;

  constructor(req: NodeRequest, gathered: GatheredBytes, enough: number) {
    this.#req = req;
    this.#gathered = gathered;
    this.#enough = enough;
    req.on('data', this.#onData).on('end', this.#onEnd);
    req.on('error', this.#onGone).on('close', this.#onGone).on('aborted', this.#onGone);
    if (('stream' in req ? req.stream : req).destroyed) this.#onGone();
  }

  /** Waits until more has come. Returns whether that was all. */
  async more(): Promise<boolean> {
    if (this.#gathered.length < this.#enough) this.#req.resume();
    while (this.#arrived === this.#seen && !this.#end) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#seen = this.#arrived;
    if (this.#end?.error) throw this.#end.error;
    return this.#end !== undefined;
  }

  expire(): void {
    this.#finish(new ConnectError('late', Code.DeadlineExceeded));
  }

  stop(): void {
    this.#req.off('data', this.#onData).off('end', this.#onEnd);
    this.#req.off('close', this.#onGone).off('aborted', this.#onGone);
  }

  readonly #onData = (piece: Buffer): void => {
    this.#gathered.add(piece, Number(this.#req.headers['content-length'] ?? 0));
    this.#arrived += 1;
    if (this.#gathered.length >= this.#enough) this.#req.pause();
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    // To node:http2, a request that its caller cancels ends like a complete one.
    const isAborted = 'stream' in this.#req && this.#req.stream.aborted;
    this.#finish(isAborted ? callerGone() : undefined);
  };

  readonly #onGone = (): void => this.#finish(callerGone());

  #finish(error: ConnectError | undefined): void {
    this.#end ??= error ? { error } : {};
    this.#wake?.();
  }
}

/** As an error of Connect, which takes any other error for a bug. */
export function callerGone(): ConnectError {
  return new ConnectError('the caller went away', Code.Canceled);
}
