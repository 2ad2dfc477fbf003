import type { IncomingHttpHeaders } from 'node:http';
import { EndOfTurn } from '../../platform/end-of-turn.ts';
import { WholeBodies } from '../door/whole-body.ts';
import type { Serving } from '../serving.ts';
import { unaryMethods } from '../unary/unary-methods.ts';
import type { NodeRequest, NodeResponse } from './node-request.ts';
import { type UnaryDoor, UnaryExchange } from './unary-exchange.ts';
import { type Format, formats, type JsonOptions } from './unary-format.ts';

/** No more than a timer can wait; 0 is not plain. */
const PLAIN_TIMEOUT = /^[1-9]\d{0,8}$/;

/**
 * Serves unary calls by Connect on node:http and node:http2 itself, as `src/rpc/grpc/unary-fast-path.ts`
 * does by gRPC. Connect's handlers turn each call into headers, streams and signals that most calls have
 * no use for. Calls that are not plain (by GET, compressed by brotli, with an odd timeout) are left to
 * them. The protocol: https://connectrpc.com/docs/protocol
 */
export class UnaryFastPath {
  readonly #methods = new Map<string, UnaryDoor>();
  readonly #formats: ReadonlyMap<string | undefined, Format>;

  constructor(serving: Serving, jsonOptions: JsonOptions) {
    const bodies = new WholeBodies(serving.limits);
    const endOfTurn = new EndOfTurn();
    this.#formats = formats(jsonOptions);
    for (const method of unaryMethods(serving)) {
      this.#methods.set(method.path, { ...method, serving, bodies, endOfTurn });
    }
  }

  /** Serves a call if it is unary and plain. Returns whether it does. */
  take(req: NodeRequest, res: NodeResponse): boolean {
    const method = this.#methods.get(req.url ?? '');
    const { headers } = req;
    const format = this.#formats.get(headers['content-type']);
    if (!method || !format || req.method !== 'POST' || !isPlain(headers)) return false;
    new UnaryExchange(req, res, method, format).start();
    return true;
  }
}

function isPlain(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['content-encoding'];
  const timeout = headers['connect-timeout-ms'];
  return (
    (encoding === undefined || encoding === 'gzip' || encoding === 'identity') &&
    (timeout === undefined || PLAIN_TIMEOUT.test(String(timeout)))
  );
}
