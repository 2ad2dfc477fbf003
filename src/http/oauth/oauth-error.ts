import type { OutgoingHttpHeaders } from 'node:http';
import { Failure, type FailureKind } from '../../platform/failure.ts';

/** Codes of RFC 6749 (section 5.2), RFC 6750, RFC 7009 and RFC 8707. */
export type ErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'insufficient_scope'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_token_type'
  | 'temporarily_unavailable'
  | 'server_error';

/** What an endpoint refuses a request with: the code for the client, and the failure for the log. */
export class OAuthError extends Error {
  readonly code: ErrorCode;
  readonly failure: Failure;

  constructor(code: ErrorCode, failure: Failure) {
    super(failure.message, { cause: failure });
    this.name = 'OAuthError';
    this.code = code;
    this.failure = failure;
  }
}

/** A request that breaks the protocol. The message must not repeat what was sent. */
export function invalidRequest(message: string): OAuthError {
  return new OAuthError('invalid_request', new Failure('invalid', 'INVALID_REQUEST', message));
}

type Told = { status: number; code: ErrorCode; description: string; fields: OutgoingHttpHeaders };

/** What a client is told about anything that was thrown. */
export function toldOf(error: unknown): Told {
  const failure = failureOf(error);
  const code = error instanceof OAuthError ? error.code : codeOf(failure);
  const { retryAfterMs } = failure.details;
  const fields: OutgoingHttpHeaders = {};
  if (retryAfterMs !== undefined) fields['retry-after'] = String(Math.ceil(retryAfterMs / 1000));
  if (code === 'invalid_client') fields['www-authenticate'] = ['Basic realm="countersign"'];
  if (code === 'insufficient_scope') {
    fields['www-authenticate'] = ['Bearer realm="countersign", error="insufficient_scope"'];
  }
  return { status: statusOf(code, failure), code, description: quotable(failure.message), fields };
}

/** The failure behind anything that was thrown. What is neither is a bug, which nobody is told about. */
export function failureOf(error: unknown): Failure {
  if (error instanceof OAuthError) return error.failure;
  if (error instanceof Failure) return error;
  return new Failure('internal', 'INTERNAL', 'internal error', {}, error);
}

const CODES: Readonly<Partial<Record<FailureKind, ErrorCode>>> = {
  unauthenticated: 'invalid_client',
  denied: 'insufficient_scope',
  exhausted: 'temporarily_unavailable',
  unavailable: 'temporarily_unavailable',
  internal: 'server_error',
};

function codeOf({ kind, reason }: Failure): ErrorCode {
  return reason === 'REQUEST_TOO_LARGE' ? 'invalid_request' : (CODES[kind] ?? 'invalid_request');
}

function statusOf(code: ErrorCode, { kind, reason }: Failure): number {
  if (reason === 'REQUEST_TOO_LARGE') return 413;
  switch (kind) {
    case 'exhausted':
      return 429;
    case 'unavailable':
      return 503;
    case 'internal':
      return 500;
    case 'deadline':
      return 408;
    default:
      if (code === 'invalid_client') return 401;
      return code === 'insufficient_scope' ? 403 : 400;
  }
}

/** A description has no quotes and no letters but ASCII: RFC 6749, section 5.2. */
function quotable(text: string): string {
  return text.replaceAll('"', "'").replace(/[^\x20-\x5b\x5d-\x7e]/g, '?');
}
