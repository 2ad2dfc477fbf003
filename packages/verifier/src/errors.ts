import { Code } from '@connectrpc/connect';

/** Why a credential or a call is refused: the names of Countersign's own reasons. */
export type Reason =
  | 'CREDENTIALS_MISSING'
  | 'TOKEN_INVALID'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_REVOKED'
  | 'ACCOUNT_SUSPENDED'
  | 'ADDRESS_NOT_ALLOWED'
  | 'SCOPE_MISSING'
  | 'PERMISSION_DENIED'
  | 'REAUTHENTICATION_REQUIRED'
  | 'RATE_LIMITED'
  | 'DEPENDENCY_UNAVAILABLE';

const CODES: Record<Reason, Code> = {
  CREDENTIALS_MISSING: Code.Unauthenticated,
  TOKEN_INVALID: Code.Unauthenticated,
  TOKEN_EXPIRED: Code.Unauthenticated,
  TOKEN_REVOKED: Code.Unauthenticated,
  ACCOUNT_SUSPENDED: Code.Unauthenticated,
  ADDRESS_NOT_ALLOWED: Code.PermissionDenied,
  SCOPE_MISSING: Code.PermissionDenied,
  PERMISSION_DENIED: Code.PermissionDenied,
  REAUTHENTICATION_REQUIRED: Code.Unauthenticated,
  RATE_LIMITED: Code.ResourceExhausted,
  DEPENDENCY_UNAVAILABLE: Code.Unavailable,
};

const HTTP_STATUS = new Map<Code, number>([
  [Code.Unauthenticated, 401],
  [Code.PermissionDenied, 403],
  [Code.ResourceExhausted, 429],
  [Code.Unavailable, 503],
]);

type Facts = {
  metadata?: Readonly<Record<string, string>>;
  retryAfterMs?: number;
  cause?: unknown;
};

/** A credential that is not accepted, a rule that is not met, or an outage that leaves both unknown. */
export class VerifierError extends Error {
  override readonly name = 'VerifierError';
  readonly reason: Reason;
  /** The status code, of gRPC and Connect alike. */
  readonly code: Code;
  /** The same for plain HTTP: 401, 403, 429 or 503. */
  readonly httpStatus: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, facts: Facts = {}) {
    // An answer to a caller and no bug: where it was made says nothing, and takes long to find out.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, { cause: facts.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.reason = reason;
    this.code = CODES[reason];
    this.httpStatus = HTTP_STATUS.get(this.code) ?? 500;
    this.metadata = facts.metadata ?? {};
    this.retryAfterMs = facts.retryAfterMs;
  }

  /** Whether it refuses the credential. A used-up limit does not, and neither does an outage. */
  get isRefusal(): boolean {
    return this.code === Code.Unauthenticated || this.code === Code.PermissionDenied;
  }

  /** The headers that belong to `httpStatus`: RFC 6750, section 3, and RFC 9110, section 10.2.3. */
  get httpHeaders(): Record<string, string> {
    const { retryAfterMs, code } = this;
    if (retryAfterMs !== undefined) return { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}` };
    if (this.reason === 'CREDENTIALS_MISSING') return { 'www-authenticate': 'Bearer' };
    if (!this.isRefusal) return {};
    const error = code === Code.Unauthenticated ? 'invalid_token' : 'insufficient_scope';
    return { 'www-authenticate': `Bearer error="${error}"` };
  }
}

/** An outage: it says nothing about the credential. */
export function unavailable(message: string, cause?: unknown): VerifierError {
  return new VerifierError('DEPENDENCY_UNAVAILABLE', message, { retryAfterMs: 1000, cause });
}
