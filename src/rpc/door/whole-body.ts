import type { IncomingMessage } from 'node:http';
import type { Hold } from '../caller-connection.ts';
import type { NodeRequest } from '../connect/node-request.ts';
import { Overdue } from '../overdue.ts';
import { AwaitedBody, type BodyTaker } from './awaited-body.ts';

export type BodyLimits = { maxMessageBytes: number; bodyTimeoutMs: number };

/** What a request costs (bytes) that waits for its body, in addition to what any stream costs. */
const WAITING_BYTES = 10 * 1024;

/** A property of the request, as in `stream-holds.ts`. */
const WHOLE = Symbol('whole');
type Marked = IncomingMessage & { [WHOLE]?: true };

/** Whether the body has been taken in full, which Node may be about to find out. */
export function hasWholeBody(req: IncomingMessage): boolean {
  return (req as Marked)[WHOLE] === true;
}

/** Reads the bodies of requests that are answered once they have come in full, for any endpoint. */
export class WholeBodies {
  readonly #limits: BodyLimits;
  readonly #incomplete: Overdue<AwaitedBody>;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#incomplete = new Overdue(limits.bodyTimeoutMs, (body) => body.expire());
  }

  /** `timeLimitMs` is what the request may take, if that is less than any body may. */
  read(
    req: NodeRequest,
    taker: BodyTaker,
    hold: Hold | undefined,
    timeLimitMs: number | undefined,
  ): void {
    // After the headers, Node hands over what has come with them. That is the whole body, mostly.
    process.nextTick(() => {
      const all = 'stream' in req ? undefined : wholeNow(req, this.#limits.maxMessageBytes);
      if (all) taker.take(all);
      else this.#wait(req, taker, hold, timeLimitMs);
    });
  }

  #wait(
    req: NodeRequest,
    taker: BodyTaker,
    hold: Hold | undefined,
    timeLimitMs: number | undefined,
  ): void {
    const { maxMessageBytes, bodyTimeoutMs } = this.#limits;
    hold?.add(WAITING_BYTES);
    const body = new AwaitedBody(req, taker, hold, maxMessageBytes);
    if (timeLimitMs !== undefined && timeLimitMs < bodyTimeoutMs) body.expireIn(timeLimitMs);
    else body.expireWith(this.#incomplete);
    body.start();
  }
}

/** The body of a request by HTTP/1.1, if it says how long it is, and has come. */
function wholeNow(req: IncomingMessage, maxBytes: number): Buffer | undefined {
  const declared = Number(req.headers['content-length'] ?? 0);
  if (declared === 0 || declared > maxBytes || req.destroyed) return undefined;
  if (req.readableLength !== declared) return undefined;
  (req as Marked)[WHOLE] = true;
  return req.read();
}
