import { ConnectError, type Interceptor } from '@connectrpc/connect';
import type { Span, Tracer } from '../../platform/tracer.ts';
import { callOf } from '../call.ts';
import { codeName } from './logging.ts';

/**
 * Records each call with the parts of its work. Names by the semantic conventions of OpenTelemetry for
 * RPC, so that a collector knows what they are.
 */
export function tracing(tracer: Tracer): Interceptor {
  return (next) => async (req) => {
    const call = callOf(req.contextValues);
    const name = `${req.service.typeName}/${req.method.name}`;
    const attributes = {
      'rpc.system.name': call.system,
      'rpc.method': name,
      'countersign.request_id': call.requestId,
    };
    const span = tracer.begin({ name, kind: 'server', attributes }, call.traceparent);
    if (!span) return next(req);
    call.traceId = span.traceId;
    try {
      const res = await span.run(() => next(req));
      if (res.stream) return { ...res, message: recordedMessages(span, res.message) };
      answered(span);
      return res;
    } catch (error) {
      failed(span, error);
      throw error;
    }
  };
}

/** The messages of a stream, each of which is made as a part of the work. */
async function* recordedMessages<T>(span: Span, messages: AsyncIterable<T>) {
  const iterator = messages[Symbol.asyncIterator]();
  let isOver = false;
  let end = () => answered(span);
  try {
    for (;;) {
      const next = await span.run(() => iterator.next());
      isOver = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    isOver = true;
    end = () => failed(span, error);
    throw error;
  } finally {
    // Its reader may leave.
    if (!isOver) await iterator.return?.();
    end();
  }
}

function answered(span: Span): void {
  span.set({ 'rpc.response.status_code': 'OK' });
  span.end();
}

function failed(span: Span, error: unknown): void {
  const code = codeName(ConnectError.from(error).code);
  span.set({ 'rpc.response.status_code': code });
  span.failed(code);
  span.end();
}
