import { Code, ConnectError } from '@connectrpc/connect';
import {
  createAsyncIterable,
  encodeEnvelope,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorFromJsonBytes,
  errorToJsonBytes,
} from '@connectrpc/connect/protocol-connect';
import { findTrailerError, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import { trailerFlag, trailerParse, trailerSerialize } from '@connectrpc/connect/protocol-grpc-web';

const ENVELOPE_HEADER_BYTES = 5;
const RPC_TYPE =
  /^application\/(?:json|proto|(connect)\+(?:json|proto)|(grpc-web)(?:\+\w+)?) *(?:;|$)/;

/** Whether a content type belongs to a call by Connect or gRPC-Web. */
export function isRpc(contentType: string): boolean {
  return RPC_TYPE.test(contentType);
}

/** The answer that tells the caller of an error, in the protocol of the call's content type. */
export function errorAnswer(contentType: string, error: ConnectError): UniversalServerResponse {
  const [, connectStream, grpcWeb] = RPC_TYPE.exec(contentType) ?? [];
  if (connectStream) return stream(contentType, endOfStream(error));
  if (grpcWeb) return stream(contentType, trailers(error));
  return unary(error);
}

/**
 * An answer whose error, if it is one, has the details that all errors have. Connect reads a unary
 * request before it runs the interceptors, and answers one that it can't read with a bare error, to
 * which `complete` adds the details.
 */
export async function completed(
  answer: UniversalServerResponse,
  complete: (error: ConnectError) => ConnectError,
): Promise<UniversalServerResponse> {
  const type = new Headers(answer.header).get('content-type') ?? '';
  if (!answer.body) return answer;
  if (type.startsWith('application/grpc-web')) {
    return { ...answer, body: completedTrailers(answer.body, complete) };
  }
  if (answer.status === 200 || type !== 'application/json') return answer;
  const bytes = Buffer.concat(await Array.fromAsync(answer.body));
  const fallback = new ConnectError('internal error', Code.Internal);
  return unary(complete(errorFromJsonBytes(bytes, undefined, fallback)));
}

/** The body of a gRPC-Web answer, whose error is in its last frame. */
async function* completedTrailers(
  body: AsyncIterable<Uint8Array>,
  complete: (error: ConnectError) => ConnectError,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const error =
      chunk[0] === trailerFlag
        ? findTrailerError(trailerParse(chunk.subarray(ENVELOPE_HEADER_BYTES)))
        : undefined;
    yield error ? trailers(complete(error)) : chunk;
  }
}

function unary(error: ConnectError): UniversalServerResponse {
  const body = errorToJsonBytes(error, undefined);
  const header = new Headers({
    'content-type': 'application/json',
    'content-length': String(body.byteLength),
  });
  return { status: codeToHttpStatus(error.code), header, body: createAsyncIterable([body]) };
}

function stream(contentType: string, end: Uint8Array): UniversalServerResponse {
  const header = new Headers({ 'content-type': contentType });
  return { status: 200, header, body: createAsyncIterable([end]) };
}

function endOfStream(error: ConnectError): Uint8Array {
  const json = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
  return encodeEnvelope(endStreamFlag, Buffer.from(json));
}

function trailers(error: ConnectError): Uint8Array {
  const trailer = setTrailerStatus(new Headers(), error);
  return encodeEnvelope(trailerFlag, trailerSerialize(trailer));
}
