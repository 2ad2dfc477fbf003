import { writeAnswer } from '../rpc/connect/node-bridge.ts';
import type { NodeRequest, NodeResponse } from '../rpc/connect/node-request.ts';
import { holdOf } from '../rpc/stream-holds.ts';

const PIECE_BYTES = 16 * 1024;

/**
 * Writes a long body, whose headers are set, as fast as its caller takes it. So a caller who takes nothing
 * holds one piece of it, which counts (W15), and that for `stallMs` at most (W02). Written whole, it would be
 * encrypted whole, for each caller.
 */
export function writeInPieces(
  req: NodeRequest,
  res: NodeResponse,
  body: Buffer,
  stallMs: number,
): void {
  holdOf('stream' in req ? req.stream : req)?.add(PIECE_BYTES);
  const gone = new AbortController();
  const pieces = piecesOf(body, gone.signal);
  const answer = { status: res.statusCode, header: new Headers(), body: pieces };
  writeAnswer(answer, res, { limitMs: stallMs, gone }).catch(() => res.destroy());
}

async function* piecesOf(body: Buffer, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) {
    signal.throwIfAborted();
    yield body.subarray(at, at + PIECE_BYTES);
  }
}
