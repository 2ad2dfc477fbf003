import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { type CallLog, errorFields } from '../../platform/log.ts';
import { type Call, callOf } from '../call.ts';
import { reasonOf } from '../errors.ts';
import { shortText } from '../short-errors.ts';

/** Writes one line for each call when it has ended; for a stream, after its last message. */
export function logging(log: CallLog): Interceptor {
  const paths = new Map<DescMethod, string>();
  const pathOf = (method: DescMethod) => {
    const known = paths.get(method);
    if (known !== undefined) return known;
    const path = methodPath(method);
    paths.set(method, path);
    return path;
  };
  return (next) => async (req) => {
    const call = callOf(req.contextValues);
    call.intercepted = true;
    const path = pathOf(req.method);
    try {
      const res = await next(req);
      if (res.stream) return { ...res, message: logged(log, call, path, res.message) };
      logCall(log, call, path, undefined);
      call.hold?.answered();
      return res;
    } catch (error) {
      call.hold?.answered();
      logCall(log, call, path, error);
      throw error;
    }
  };
}

async function* logged<T>(log: CallLog, call: Call, path: string, messages: AsyncIterable<T>) {
  let failure: unknown;
  try {
    yield* messages;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    logCall(log, call, path, failure);
  }
}

const REFUSALS: ReadonlySet<Code> = new Set([Code.Unauthenticated, Code.PermissionDenied]);

/** Writes the line of one call, and counts how long it took. Our own failures are errors, with their cause; refusals are not. */
export function logCall(log: CallLog, call: Call, method: string, error: unknown): void {
  const durationMs = Math.round((performance.now() - call.startedAt) * 100) / 100;
  const { requestId, traceId, ipAddress: address } = call;
  const { subject: principal, sessionId, apiKeyId } = call.principal ?? {};
  if (error === undefined) {
    call.durations.answered(method, durationMs);
    log.answered({
      requestId,
      traceId,
      method,
      durationMs,
      principal,
      sessionId,
      apiKeyId,
      address,
    });
    return;
  }
  const failed = ConnectError.from(error);
  const code = codeName(failed.code);
  call.durations.failed(method, code, durationMs);
  const fields = {
    request_id: requestId,
    trace_id: traceId,
    // Of an unknown method, whatever the caller has put into the path.
    method: shortText(method),
    code,
    reason: reasonOf(failed),
    duration_ms: durationMs,
    principal,
    session_id: sessionId || undefined,
    api_key_id: apiKeyId || undefined,
    address,
  };
  if (failed.code === Code.Internal || failed.code === Code.Unknown) {
    log.error({ ...fields, ...errorFields(failed.cause) }, 'call');
  } else if (failed.code === Code.Unavailable) {
    log.warn({ ...fields, ...errorFields(failed.cause), stack: undefined }, 'call');
  } else if (call.asksForOthers && REFUSALS.has(failed.code)) {
    log.warn(fields, 'the caller may not ask for others');
  } else {
    log.info(fields, 'call');
  }
}

/** A method as logs and metrics name it: `package.Service/Method`. */
export function methodPath({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

/** A code in gRPC's own spelling: `INVALID_ARGUMENT`, and `CANCELLED` with a double l. */
export function codeName(code: Code): string {
  const name = Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  return name === 'CANCELED' ? 'CANCELLED' : name;
}
