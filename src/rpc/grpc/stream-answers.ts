import { once } from 'node:events';
import type { Message } from '@bufbuild/protobuf';
import type { HandlerContext, MethodImplSpec } from '@connectrpc/connect';
import type * as grpc from '@grpc/grpc-js';
import { callOf } from '../call.ts';
import type { Hold } from '../caller-connection.ts';
import { answerBytes } from '../messages/kept-answer.ts';
import type { Serving } from '../serving.ts';
import { drainedInTime } from '../slow-reader.ts';
import { metadataOf } from './metadata.ts';

/** A message that has not been read yet, or that is written already. */
export type Raw = Buffer;
export type AnsweredByStream =
  | grpc.ServerWritableStream<Raw, Raw>
  | grpc.ServerDuplexStream<Raw, Raw>;

/** A message and what grpc-js makes of it, and about as much that is left over from making them. */
const COPIES = 4;
/** After a message of more bytes, the next is not made before it is taken: grpc-js has room for 16 of any. */
const LONG_BYTES = 16 * 1024;
/** Says that nothing written is left. */
const WRITTEN = Symbol('written');

/** Writes the messages of an answer, as fast as their reader takes them. */
export async function writeAll(
  { method }: MethodImplSpec,
  { limits }: Serving,
  rpc: AnsweredByStream,
  messages: AsyncIterator<Message>,
  { signal, responseHeader, values }: HandlerContext,
): Promise<void> {
  const { hold } = callOf(values);
  try {
    let next = await messages.next();
    // Not before: until then the method may set some.
    rpc.sendMetadata(metadataOf(responseHeader));
    for (; !next.done; next = await messages.next()) {
      const bytes = answerBytes(method.output, next.value);
      const hasRoom = write(rpc, bytes, hold);
      const isLong = bytes.length > LONG_BYTES && rpc.writableLength > 0;
      const ready = isLong ? WRITTEN : 'drain';
      if (hasRoom && !isLong) continue;
      // Waits for a reader who takes nothing instead of buffering for it.
      await drainedInTime(once(rpc, ready, { signal }), limits.readerStallMs);
    }
  } catch (error) {
    // The source of the messages learns why they end: otherwise they would seem to be complete.
    await messages.throw?.(error);
    throw error;
  }
}

/** Writes a message, which counts until its caller takes it. Returns whether there is room for more. */
function write(rpc: AnsweredByStream, bytes: Raw, hold: Hold | undefined): boolean {
  const held = COPIES * bytes.length;
  hold?.add(held);
  return rpc.write(bytes, () => {
    hold?.add(-held);
    if (rpc.writableLength === 0) rpc.emit(WRITTEN);
  });
}

/**
 * Waits until grpc-js has handed on what was written. An error that comes earlier would destroy a call
 * whose requests are still read, and its caller would never get the status. Returns false if its caller
 * takes nothing, or has gone.
 */
export async function flush(
  rpc: AnsweredByStream,
  signal: AbortSignal,
  limitMs: number,
): Promise<boolean> {
  if (rpc.writableLength === 0) return true;
  return drainedInTime(once(rpc, WRITTEN, { signal }), limitMs).then(
    () => true,
    () => false,
  );
}
