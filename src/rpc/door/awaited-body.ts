import type { Failure } from '../../platform/failure.ts';
import type { Hold } from '../caller-connection.ts';
import type { NodeRequest } from '../connect/node-request.ts';
import { callerGone, deadlineExceeded, requestTooLarge } from '../failures.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import type { Overdue, Place } from '../overdue.ts';

/** Whoever waits for the body of a request. One of these is called, once. */
export type BodyTaker = {
  /** The body has come in full. */
  take(body: Buffer): void;
  /** It is too large or takes too long, or its sender has gone. */
  refuse(why: Failure): void;
};

const NOTHING = Buffer.alloc(0);

/** A body that has not come in full yet. What is too large is refused as soon as that is known. */
export class AwaitedBody {
  readonly #req: NodeRequest;
  readonly #taker: BodyTaker;
  readonly #maxBytes: number;
  readonly #declared: number;
  readonly #gathered: GatheredBytes;
  #timer: NodeJS.Timeout | undefined;
  #overdue: Overdue<AwaitedBody> | undefined;
  #place: Place<AwaitedBody> | undefined;
  #isOver = false;

  constructor(req: NodeRequest, taker: BodyTaker, hold: Hold | undefined, maxBytes: number) {
    this.#req = req;
    this.#taker = taker;
    this.#maxBytes = maxBytes;
    this.#declared = Number(req.headers['content-length'] ?? 0);
    this.#gathered = new GatheredBytes(hold);
  }

  expireIn(ms: number): void {
    this.#timer = setTimeout(() => this.expire(), ms);
  }

  expireWith(overdue: Overdue<AwaitedBody>): void {
    this.#overdue = overdue;
    this.#place = overdue.add(this);
  }

  expire(): void {
    this.#refuse(deadlineExceeded());
  }

  start(): void {
    const req = this.#req;
    if (this.#declared > this.#maxBytes) this.#refuse(requestTooLarge());
    if (this.#isOver) return;
    req.on('data', (piece: Buffer) => this.#add(piece));
    req.on('end', () => this.#end());
    req.on('close', () => this.#onClose());
    if (('stream' in req ? req.stream : req).destroyed) this.#onClose();
  }

  #add(piece: Buffer): void {
    // The rest of a request that has been refused.
    if (this.#isOver) return;
    this.#gathered.add(piece, this.#declared);
    if (this.#gathered.length > this.#maxBytes) this.#refuse(requestTooLarge());
  }

  #end(): void {
    if (this.#isOver) return;
    // To node:http2, a request that its caller cancels ends like a complete one.
    if ('stream' in this.#req && this.#req.stream.aborted) {
      this.#refuse(callerGone());
    } else {
      this.#finish();
      this.#taker.take(this.#all());
    }
  }

  /** Also called when all is well. */
  #onClose(): void {
    if (!this.#isOver) this.#refuse(callerGone());
  }

  #all(): Buffer {
    const { length } = this.#gathered;
    return length === 0 ? NOTHING : this.#gathered.take(length);
  }

  #refuse(why: Failure): void {
    if (this.#isOver) return;
    this.#finish();
    this.#gathered.drop();
    this.#taker.refuse(why);
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#place) this.#overdue?.remove(this.#place);
  }
}
