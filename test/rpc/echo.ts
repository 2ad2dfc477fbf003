import { setTimeout as sleep } from 'node:timers/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callOf } from '../../src/rpc/call.ts';
import { type Service, service } from '../../src/rpc/services/service.ts';
import {
  EchoService,
  type ServerStreamRequest,
  type ServerStreamResponseSchema,
  type UnaryRequest,
  UnaryResponseSchema,
} from '../gen/countersign/test/v1/echo_service_pb.ts';

export { EchoService };

/** What the messages of a bug say, which no caller may read. */
export const BUG = "select * from accounts where email = 'someone@example.com'";

/** A service that does as it is told, and records what a test wants to know about it. */
export class Echo {
  /** Calls that began, streams and unary. */
  begun = 0;
  /** Calls that ended, whatever the reason. */
  ended = 0;
  /** How many messages were asked of ServerStream so far. */
  pulled = 0;
  /** How many messages of BidiStream were answered so far. */
  answered = 0;
  /** Why calls were told to stop. */
  readonly stops: unknown[] = [];

  readonly service: Service = service(EchoService, this.#implementation());

  #implementation(): ServiceImpl<typeof EchoService> {
    return {
      unary: (request, context) => this.#watched(context, () => unary(request, context)),
      serverStream: (request, context) => this.#serverStream(request, context),
      clientStream: (requests, context) =>
        this.#watched(context, async () => {
          let text = '';
          for await (const request of requests) text += request.text;
          return { text };
        }),
      bidiStream: (requests, context) => this.#bidiStream(requests, context),
      closed: () => ({}),
      recent: () => ({}),
      permitted: () => ({}),
    };
  }

  async #watched<T>({ signal }: HandlerContext, work: () => Promise<T>): Promise<T> {
    this.begun += 1;
    signal.addEventListener('abort', () => this.stops.push(signal.reason), { once: true });
    try {
      return await work();
    } finally {
      this.ended += 1;
    }
  }

  async *#serverStream(
    { count, failAfter, size, endless }: ServerStreamRequest,
    { signal }: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof ServerStreamResponseSchema>> {
    this.begun += 1;
    signal.addEventListener('abort', () => this.stops.push(signal.reason), { once: true });
    try {
      for (let index = 0; index < count; index += 1) {
        if (failAfter > 0 && index === failAfter) throw new Error(BUG);
        this.pulled += 1;
        yield { index, text: 'x'.repeat(size) };
      }
      if (endless) await sleep(60_000, undefined, { signal });
    } finally {
      this.ended += 1;
    }
  }

  async *#bidiStream(requests: AsyncIterable<{ text: string }>, { signal }: HandlerContext) {
    this.begun += 1;
    signal.addEventListener('abort', () => this.stops.push(signal.reason), { once: true });
    try {
      for await (const { text } of requests) {
        if (text === 'bug') throw new Error(BUG);
        yield { text };
        this.answered += 1;
      }
    } finally {
      this.ended += 1;
    }
  }
}

async function unary({ text, sleepMs, failure }: UnaryRequest, context: HandlerContext) {
  if (failure === 'bug') throw new Error(BUG);
  // Deaf to the signal, as a library's promise may be.
  if (failure === 'deaf') await sleep(sleepMs);
  else if (sleepMs > 0) await sleep(sleepMs, undefined, { signal: context.signal });
  const subject = callOf(context.values).principal?.subject ?? '';
  return create(UnaryResponseSchema, { text, subject });
}
