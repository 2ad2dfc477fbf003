import { type Message, toBinary } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { callOf } from '../call.ts';

/** How many requests may wait for the answers to those before them. */
const MAX_WAITING = 100;
/** What one costs beside its own bytes. */
const WAITING_BYTES = 512;

/**
 * Yields the requests of a stream that anyone may open, one after the other. It reads them as they arrive:
 * bytes that lie unread in a stream are not counted, and may arrive in pieces of any size (W15). A caller
 * who sends many and takes no answers is reset.
 */
export async function* inTurn<T extends Message>(
  requests: AsyncIterable<T>,
  { method, values, signal }: HandlerContext,
): AsyncGenerator<T> {
  const { hold } = callOf(values);
  const waiting: { request: T; bytes: number }[] = [];
  let wake = Promise.withResolvers<void>();
  let end: { error?: unknown } | undefined;
  const read = async () => {
    for await (const request of requests) {
      if (waiting.length === MAX_WAITING) return hold?.refuse();
      const bytes = WAITING_BYTES + toBinary(method.input, request).length;
      hold?.add(bytes);
      waiting.push({ request, bytes });
      wake.resolve();
    }
  };
  const over = (how: { error?: unknown }) => {
    end = how;
    wake.resolve();
  };
  read().then(
    () => over({}),
    (error) => over({ error }),
  );
  while (!signal.aborted) {
    const next = waiting.shift();
    if (next) {
      hold?.add(-next.bytes);
      yield next.request;
    } else if (end) {
      if ('error' in end) throw end.error;
      return;
    } else {
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  }
}
