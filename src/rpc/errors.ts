import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { ErrorReason } from '../../gen/countersign/v1/error_reason_pb.ts';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { Failure, type FailureKind, type Reason } from '../platform/failure.ts';
import { requestTooLarge, unreadableRequest } from './request.ts';

const CODES: Record<FailureKind, Code> = {
  invalid: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  denied: Code.PermissionDenied,
  precondition: Code.FailedPrecondition,
  not_found: Code.NotFound,
  conflict: Code.AlreadyExists,
  aborted: Code.Aborted,
  exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  unimplemented: Code.Unimplemented,
  deadline: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  internal: Code.Internal,
};

/** Holds every reason to the enum that clients know it by. */
export const REASONS: Record<Reason, ErrorReason> = {
  INVALID_REQUEST: ErrorReason.INVALID_REQUEST,
  CREDENTIALS_MISSING: ErrorReason.CREDENTIALS_MISSING,
  INVALID_CREDENTIALS: ErrorReason.INVALID_CREDENTIALS,
  EMAIL_NOT_VERIFIED: ErrorReason.EMAIL_NOT_VERIFIED,
  ACCOUNT_SUSPENDED: ErrorReason.ACCOUNT_SUSPENDED,
  TOKEN_INVALID: ErrorReason.TOKEN_INVALID,
  TOKEN_EXPIRED: ErrorReason.TOKEN_EXPIRED,
  TOKEN_REVOKED: ErrorReason.TOKEN_REVOKED,
  REFRESH_TOKEN_REUSED: ErrorReason.REFRESH_TOKEN_REUSED,
  PASSWORD_TOO_WEAK: ErrorReason.PASSWORD_TOO_WEAK,
  PERMISSION_DENIED: ErrorReason.PERMISSION_DENIED,
  REAUTHENTICATION_REQUIRED: ErrorReason.REAUTHENTICATION_REQUIRED,
  RATE_LIMITED: ErrorReason.RATE_LIMITED,
  OVERLOADED: ErrorReason.OVERLOADED,
  DEPENDENCY_UNAVAILABLE: ErrorReason.DEPENDENCY_UNAVAILABLE,
  STORAGE_FULL: ErrorReason.STORAGE_FULL,
  METHOD_UNKNOWN: ErrorReason.METHOD_UNKNOWN,
  COMPRESSION_UNKNOWN: ErrorReason.COMPRESSION_UNKNOWN,
  DEADLINE_EXCEEDED: ErrorReason.DEADLINE_EXCEEDED,
  CANCELLED: ErrorReason.CANCELLED,
  REQUEST_TOO_LARGE: ErrorReason.REQUEST_TOO_LARGE,
  SHUTTING_DOWN: ErrorReason.SHUTTING_DOWN,
  ACCOUNT_LOCKED: ErrorReason.ACCOUNT_LOCKED,
  MFA_CODE_INVALID: ErrorReason.MFA_CODE_INVALID,
  PASSWORD_REUSED: ErrorReason.PASSWORD_REUSED,
  ETAG_MISMATCH: ErrorReason.ETAG_MISMATCH,
  LAST_ADMIN: ErrorReason.LAST_ADMIN,
  EMAIL_TAKEN: ErrorReason.EMAIL_TAKEN,
  MFA_STATE: ErrorReason.MFA_STATE,
  NOT_FOUND: ErrorReason.NOT_FOUND,
  TOO_MANY: ErrorReason.TOO_MANY,
  SIGNING_KEY_TOO_NEW: ErrorReason.SIGNING_KEY_TOO_NEW,
  NAME_TAKEN: ErrorReason.NAME_TAKEN,
  BUILT_IN: ErrorReason.BUILT_IN,
  IN_USE: ErrorReason.IN_USE,
  SCOPE_MISSING: ErrorReason.SCOPE_MISSING,
  ADDRESS_NOT_ALLOWED: ErrorReason.ADDRESS_NOT_ALLOWED,
  API_KEY_REVOKED: ErrorReason.API_KEY_REVOKED,
  INTERNAL: ErrorReason.INTERNAL,
};

/** Marks the errors that are complete, so that no layer does it twice. */
const complete = new WeakSet<ConnectError>();

/**
 * The failure as callers get it, with its details, and the failure behind it for the log. Whatever
 * work throws because `signal` told it to stop is what the signal says.
 */
export function toConnectError(
  error: unknown,
  requestId: string,
  signal?: AbortSignal,
): ConnectError {
  if (error instanceof ConnectError && complete.has(error)) return error;
  const isAbort =
    signal?.aborted && !(error instanceof Failure) && !(error instanceof ConnectError);
  const failure = toFailure(isAbort ? signal.reason : error);
  const result = new ConnectError(failure.message, CODES[failure.kind], retryAfter(failure), [
    { desc: ErrorInfoSchema, value: errorInfo(failure) },
    { desc: RequestInfoSchema, value: { requestId } },
    ...furtherDetails(failure),
  ]);
  result.cause = error instanceof Failure ? (error.cause ?? error) : error;
  complete.add(result);
  return result;
}

/** For HTTP clients that know nothing of RetryInfo, RFC 9110 section 10.2.3. */
function retryAfter({ details: { retryAfterMs } }: Failure): Record<string, string> | undefined {
  return retryAfterMs === undefined
    ? undefined
    : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
}

function errorInfo({ reason, details }: Failure) {
  return { reason, domain: 'countersign', metadata: { ...details.metadata } };
}

function furtherDetails({ details: { fields, retryAfterMs } }: Failure) {
  const badRequest = fields && {
    desc: BadRequestSchema,
    value: {
      fieldViolations: fields.map(({ path, description }) => ({ field: path, description })),
    },
  };
  const retryInfo = retryAfterMs !== undefined && {
    desc: RetryInfoSchema,
    value: {
      retryDelay: {
        seconds: BigInt(Math.floor(retryAfterMs / 1000)),
        nanos: (retryAfterMs % 1000) * 1_000_000,
      },
    },
  };
  return [badRequest, retryInfo].filter((detail) => !!detail);
}

/** The reason in an error that `toConnectError` made. */
export function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? create(ErrorInfoSchema).reason;
}

/** What anything that was thrown is to the caller. What is not a failure or the libraries' is a bug. */
function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof ConnectError) return libraryFailure(error);
  return new Failure('internal', 'INTERNAL', 'internal error', {}, error);
}

/** How Connect and grpc-js say that a request can't be read; their codes say something else. */
const UNREADABLE =
  /^(parse binary|cannot decode|protocol error)|decompress|(no|a second) request message/;
const COMPRESSION = /^unknown compression|unsupported encoding/;

/** The RPC libraries' own errors, which know nothing of our reasons. */
function libraryFailure(error: ConnectError): Failure {
  const { code, rawMessage } = error;
  if (code === Code.ResourceExhausted) {
    return requestTooLarge();
  }
  if (code === Code.InvalidArgument || UNREADABLE.test(rawMessage)) return unreadable(error);
  switch (code) {
    case Code.Unimplemented:
      return COMPRESSION.test(rawMessage) ? unknownCompression() : unknownMethod();
    case Code.DeadlineExceeded:
      return deadlineExceeded();
    case Code.Canceled:
    case Code.Aborted:
      return callerGone();
    case Code.Unavailable:
      return shuttingDown();
    default:
      return new Failure('internal', 'INTERNAL', 'internal error', {}, error);
  }
}

export function unknownMethod(): Failure {
  return new Failure('unimplemented', 'METHOD_UNKNOWN', 'there is no such method');
}

function unknownCompression(): Failure {
  const text = 'the request is compressed in a way that is not read here';
  return new Failure('unimplemented', 'COMPRESSION_UNKNOWN', text);
}

export function callerGone(cause?: unknown): Failure {
  return new Failure('cancelled', 'CANCELLED', 'the caller went away', {}, cause);
}

export function deadlineExceeded(): Failure {
  return new Failure('deadline', 'DEADLINE_EXCEEDED', 'the call took longer than its deadline');
}

export function shuttingDown(): Failure {
  return new Failure('unavailable', 'SHUTTING_DOWN', 'this replica is stopping; call again', {
    retryAfterMs: 0,
  });
}

/** A request that can't be read as its message. */
function unreadable(error: ConnectError): Failure {
  const unknown = /from JSON: key "([\w.-]{1,100})" is unknown/.exec(error.rawMessage)?.[1];
  const wrong = /cannot decode field [\w.]*\.(\w+) from JSON/.exec(error.rawMessage)?.[1];
  const field = unknown ?? wrong;
  if (field === undefined) {
    return unreadableRequest();
  }
  const description = unknown === undefined ? 'has a value of the wrong type' : 'is unknown';
  return new Failure('invalid', 'INVALID_REQUEST', `the field ${field} ${description}`, {
    fields: [{ path: field, description }],
  });
}
