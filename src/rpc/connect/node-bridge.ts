import type { ServerResponse } from 'node:http';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { Failure } from '../../platform/failure.ts';
import { type Call, contextOf } from '../call.ts';
import { headersFrom } from '../headers.ts';
import { drainedInTime } from '../slow-reader.ts';
import type { NodeRequest, NodeResponse } from './node-request.ts';
import { type BodyOptions, bodyOf, callerGone } from './request-body.ts';

/**
 * A Node request in the form that Connect's handlers take. It replaces connect-node's own conversion,
 * which throws on an odd `:authority`, and destroys the connection of a request that it does not read
 * to its end.
 *
 * `gone` is aborted when the caller goes away or something else ends the call. The body ends in
 * DEADLINE_EXCEEDED if it takes longer than `limitMs`, so that a caller who sends headers and then
 * nothing does not hold a stream for longer.
 */
export function universalRequest(
  req: NodeRequest,
  res: NodeResponse,
  call: Call,
  limits: Pick<BodyOptions, 'maxMessageBytes' | 'limitMs'>,
  gone: AbortController,
): UniversalServerRequest {
  res.once('close', () => gone.abort(callerGone()));
  return {
    httpVersion: req.httpVersion,
    method: req.method ?? '',
    // Nothing here depends on the host, and what the caller wrote may not be one.
    url: new URL(req.url ?? '/', 'http://localhost').href,
    header: headersFrom(req.headers),
    body: bodyOf(req, { ...limits, hold: call.hold }),
    signal: gone.signal,
    contextValues: contextOf(call),
  };
}

/**
 * Writes an answer as fast as its caller takes it. If the caller goes away, the source of the answer is
 * told, even while it waits only for the caller. If the caller takes nothing for `stall.limitMs`,
 * `stall.gone` ends the call.
 */
export async function writeAnswer(
  answer: UniversalServerResponse,
  res: NodeResponse,
  stall?: { limitMs: number; gone: AbortController },
): Promise<void> {
  const chunks = answer.body?.[Symbol.asyncIterator]();
  try {
    // Headers are sent with the first bytes: until then the implementation may set some.
    let next = await chunks?.next();
    writeHead(answer, res);
    for (; chunks && next && !next.done; next = await chunks.next()) {
      if (!write(res, next.value)) await taken(res, stall);
    }
    res.end();
  } catch (error) {
    await chunks?.throw?.(error);
    throw error;
  }
}

function writeHead({ status, header }: UniversalServerResponse, res: NodeResponse): void {
  const headers = new Headers(header);
  const cookies = headers.getSetCookie();
  for (const [name, value] of headers) res.setHeader(name, value);
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
  res.statusCode = status;
}

/** The types of the two kinds of response differ in their overloads; the code does not. */
function write(res: NodeResponse, bytes: Uint8Array): boolean {
  return (res as ServerResponse).write(bytes);
}

/** Ends the call if its reader takes nothing for too long; what is written next is its last answer. */
async function taken(
  res: NodeResponse,
  stall: { limitMs: number; gone: AbortController } | undefined,
): Promise<void> {
  if (!stall) return drained(res);
  await drainedInTime(drained(res), stall.limitMs).catch((error) => {
    if (!(error instanceof Failure)) throw error;
    stall.gone.abort(error);
  });
}

function drained(res: NodeResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = () => settle(resolve);
    const onClose = () => settle(() => reject(callerGone()));
    const settle = (how: () => void) => {
      res.off('drain', onDrain).off('close', onClose);
      how();
    };
    res.on('drain', onDrain).on('close', onClose);
    if ('stream' in res ? res.stream.destroyed : res.destroyed) onClose();
  });
}
