import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { Failure } from '../../platform/failure.ts';
import { unreadableRequest } from '../failures.ts';
import type { UnaryTerms } from '../services/service.ts';

/** Reads the bytes of a request as its message. Refuses bytes that are not one. */
export function parseRequest(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    // Nobody looks at fields that are not known here, and a proxy may send many.
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw unreadableRequest(error);
  }
}

/** The request of a unary call, or a function that reads it once its caller is known. */
export function requestOf(
  schema: DescMessage,
  bytes: Uint8Array,
  terms: UnaryTerms | undefined,
): Message | (() => Message) {
  return terms ? () => parseRequest(schema, bytes) : parseRequest(schema, bytes);
}

/** The failures of compressed messages, which `unzip` throws. */
const NOT_UNZIPPED: ReadonlySet<Code> = new Set([Code.ResourceExhausted, Code.InvalidArgument]);

function isUnreadable(thrown: unknown): boolean {
  if (thrown instanceof ConnectError) return NOT_UNZIPPED.has(thrown.code);
  return thrown instanceof Failure && UNREADABLE.has(thrown.reason);
}

const UNREADABLE: ReadonlySet<string> = new Set(['REQUEST_TOO_LARGE', 'INVALID_REQUEST']);

/** The answer to a request that is too large or can't be read, if that is not an error. */
export function answerToUnreadable(
  terms: UnaryTerms | undefined,
  thrown: unknown,
): Message | undefined {
  return isUnreadable(thrown) ? terms?.answerToUnreadable : undefined;
}
