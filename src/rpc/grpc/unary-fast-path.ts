import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { grpcTimeout } from '../deadlines.ts';
import { deadlineExceeded } from '../failures.ts';
import { Overdue } from '../overdue.ts';
import type { Serving } from '../serving.ts';
import { unaryMethods } from '../unary/unary-methods.ts';
import { ENCODINGS } from './answers.ts';
import { type UnaryMethod, UnaryStream } from './unary-stream.ts';

const ENCODINGS_READ = new Set<unknown>([undefined, ...ENCODINGS.split(',')]);
const PLAIN_TYPES = new Set(['application/grpc', 'application/grpc+proto']);

/**
 * The one hot path: serves unary calls by gRPC on node:http2 itself. To grpc-js a call is a stream of
 * messages in both directions behind four layers of listeners, which costs as much as all the rest of
 * a token check. Calls that are not plain (another content type, an unknown compression, an odd timeout)
 * are left to it. The protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class UnaryFastPath {
  readonly #methods = new Map<string, UnaryMethod>();

  constructor(serving: Serving) {
    const incomplete = new Overdue<UnaryStream>(serving.limits.bodyTimeoutMs, (late) =>
      late.fail(deadlineExceeded()),
    );
    for (const method of unaryMethods(serving)) {
      this.#methods.set(method.path, { ...method, serving, incomplete });
    }
  }

  /** Serves a call if it is unary and plain. Returns whether it does. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: string | undefined): boolean {
    const method = this.#methods.get(headers[':path'] ?? '');
    if (!method || !isPlain(headers)) return false;
    new UnaryStream(stream, headers, peer, method);
    return true;
  }
}

function isPlain(headers: IncomingHttpHeaders): boolean {
  const timeout = headers['grpc-timeout'];
  return (
    headers[':method'] === 'POST' &&
    PLAIN_TYPES.has(headers['content-type'] ?? '') &&
    ENCODINGS_READ.has(headers['grpc-encoding']) &&
    (timeout === undefined || grpcTimeout(String(timeout)) !== undefined)
  );
}
