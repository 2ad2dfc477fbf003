import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { grpcTimeout } from '../deadlines.ts';
import { headerText } from '../headers.ts';
import { ENCODINGS } from './answers.ts';

const TIMEOUT = 'grpc-timeout';
const ODD_TIMEOUT = { code: status.INVALID_ARGUMENT, details: 'the deadline is odd' };
const ENCODING = 'grpc-encoding';
const KNOWN_ENCODINGS = new Set(ENCODINGS.split(','));
const UNKNOWN_ENCODING = { code: status.UNIMPLEMENTED, details: 'unsupported encoding' };
/** A day. grpc-js computes in 32 bits: a time of more than 24 days may become none at all. */
const LONGEST_TIMEOUT = '86400S';
/** Messages are protobuf; grpc-js takes any type that begins like this for that. */
const TYPE = /^application\/grpc(?:\+proto)? *(?:;|$)/;
const SECONDS = { H: 3600, M: 60, S: 1 } as const;

/** The headers of the calls that grpc-js serves. Its metadata lacks those that it can't read. */
const received = new WeakMap<ServerHttp2Stream, IncomingHttpHeaders>();
const untimed = new WeakSet<ServerHttp2Stream>();

/**
 * Remembers the headers of a call, and changes what grpc-js would not handle well: a `grpc-timeout` that
 * can't be read, for which it would both refuse the call and serve it, or one too long for it; and a
 * content type of an encoding that is not served, without which it refuses the call.
 */
export function prepareHeaders(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  received.set(stream, headers);
  if (!TYPE.test(headers['content-type'] ?? '')) delete headers['content-type'];
  const timeout = headers[TIMEOUT];
  if (timeout === undefined) return;
  if (grpcTimeout(String(timeout)) === undefined) {
    untimed.add(stream);
    delete headers[TIMEOUT];
  } else if (/[HMS]$/.test(String(timeout))) {
    headers[TIMEOUT] = shortened(String(timeout));
  }
}

/** Reads the headers of a call that `prepareHeaders` has seen. */
export function receivedHeader(
  stream: ServerHttp2Stream,
): ((name: string) => string | undefined) | undefined {
  const headers = received.get(stream);
  return headers && ((name) => headerText(headers[name]));
}

/**
 * Why a call can't be served: a deadline that can't be read, which `prepareHeaders` has removed, or a
 * compression that grpc-js would reject only once a message is compressed.
 */
export function oddHeader(stream: ServerHttp2Stream) {
  if (untimed.has(stream)) return ODD_TIMEOUT;
  const encoding = received.get(stream)?.[ENCODING];
  return KNOWN_ENCODINGS.has(String(encoding ?? 'identity')) ? undefined : UNKNOWN_ENCODING;
}

function shortened(timeout: string): string {
  const seconds = SECONDS[timeout.at(-1) as keyof typeof SECONDS];
  return Number.parseInt(timeout, 10) * seconds > 86_400 ? LONGEST_TIMEOUT : timeout;
}
