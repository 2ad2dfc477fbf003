import { ConnectError } from '@connectrpc/connect';
import {
  type ErrorInfo,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../gen/google/rpc/error_details_pb.ts';
import type { VerifierError } from './errors.ts';

/** The details that every error carries. The request id stands last: `grpc-status.ts` counts on it. */
export function detailsOf(error: VerifierError, requestId: string) {
  const { reason, metadata, retryAfterMs } = error;
  const retryInfo = retryAfterMs !== undefined && {
    desc: RetryInfoSchema,
    value: {
      retryDelay: {
        seconds: BigInt(Math.floor(retryAfterMs / 1000)),
        nanos: Math.floor(retryAfterMs % 1000) * 1_000_000,
      },
    },
  };
  return [
    { desc: ErrorInfoSchema, value: { reason, domain: 'countersign', metadata } },
    ...(retryInfo ? [retryInfo] : []),
    { desc: RequestInfoSchema, value: { requestId } },
  ];
}

/** The error as Connect sends it, with its details. */
export function toConnectError(error: VerifierError, requestId: string): ConnectError {
  const { message, code, httpHeaders } = error;
  return new ConnectError(message, code, httpHeaders, detailsOf(error, requestId), error);
}

const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;

/** The id that a request came with, or a new one. */
export function requestIdOf(header: string | null | undefined): string {
  return header && REQUEST_ID.test(header) ? header : crypto.randomUUID();
}

/** Whether an error says that the credential of the call has expired. */
export function saysExpired(infos: readonly ErrorInfo[]): boolean {
  return infos.some(({ domain, reason }) => domain === 'countersign' && reason === 'TOKEN_EXPIRED');
}
