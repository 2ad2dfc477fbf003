import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { Failure, type FailureKind } from '../platform/failure.ts';
import { libraryFailure } from './library-failures.ts';
import { fewFields, shortText } from './short-errors.ts';

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

/** The errors that `toConnectError` made, which it returns as they are. */
const complete = new WeakSet<ConnectError>();

/**
 * The error that callers get for anything that was thrown, with its details; `cause` holds what the
 * log needs. Whatever work throws because `signal` told it to stop becomes the signal's own reason.
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
  const message = shortText(failure.message);
  const result = new ConnectError(message, CODES[failure.kind], retryAfter(failure), [
    { desc: ErrorInfoSchema, value: errorInfo(failure) },
    { desc: RequestInfoSchema, value: { requestId } },
    ...furtherDetails(failure),
  ]);
  result.cause = error instanceof Failure ? (error.cause ?? error) : error;
  complete.add(result);
  return result;
}

/** The reason in an error that `toConnectError` made. */
export function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? create(ErrorInfoSchema).reason;
}

/** What is neither a failure nor an error of the RPC libraries is a bug. */
function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof ConnectError) return libraryFailure(error);
  return new Failure('internal', 'INTERNAL', 'internal error', {}, error);
}

/** For HTTP clients that know nothing of RetryInfo: RFC 9110, section 10.2.3. */
function retryAfter({ details: { retryAfterMs } }: Failure): Record<string, string> | undefined {
  return retryAfterMs === undefined
    ? undefined
    : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
}

function errorInfo({ reason, details }: Failure) {
  const metadata: Record<string, string> = {};
  for (const [name, fact] of Object.entries(details.metadata ?? {}))
    metadata[name] = shortText(fact);
  return { reason, domain: 'countersign', metadata };
}

function furtherDetails({ details: { fields, retryAfterMs } }: Failure) {
  const badRequest = fields && {
    desc: BadRequestSchema,
    value: {
      fieldViolations: fewFields(fields).map(({ path, description }) => ({
        field: path,
        description,
      })),
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
