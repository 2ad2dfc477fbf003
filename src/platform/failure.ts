/** The kind of a failure. `rpc/` maps each kind to one status code. */
export type FailureKind =
  | 'invalid'
  | 'unauthenticated'
  | 'denied'
  | 'precondition'
  | 'not_found'
  | 'conflict'
  | 'aborted'
  | 'exhausted'
  | 'unavailable'
  | 'unimplemented'
  | 'deadline'
  | 'cancelled'
  | 'internal';

/** The reason of a failure: the names of `countersign.v1.ErrorReason` without their prefix. */
export type Reason =
  | 'INVALID_REQUEST'
  | 'CREDENTIALS_MISSING'
  | 'INVALID_CREDENTIALS'
  | 'EMAIL_NOT_VERIFIED'
  | 'ACCOUNT_SUSPENDED'
  | 'TOKEN_INVALID'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_REVOKED'
  | 'REFRESH_TOKEN_REUSED'
  | 'PASSWORD_TOO_WEAK'
  | 'PERMISSION_DENIED'
  | 'REAUTHENTICATION_REQUIRED'
  | 'RATE_LIMITED'
  | 'OVERLOADED'
  | 'DEPENDENCY_UNAVAILABLE'
  | 'STORAGE_FULL'
  | 'METHOD_UNKNOWN'
  | 'COMPRESSION_UNKNOWN'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'REQUEST_TOO_LARGE'
  | 'SHUTTING_DOWN'
  | 'ACCOUNT_LOCKED'
  | 'MFA_CODE_INVALID'
  | 'PASSWORD_REUSED'
  | 'ETAG_MISMATCH'
  | 'LAST_ADMIN'
  | 'EMAIL_TAKEN'
  | 'MFA_STATE'
  | 'NOT_FOUND'
  | 'TOO_MANY'
  | 'SIGNING_KEY_TOO_NEW'
  | 'NAME_TAKEN'
  | 'BUILT_IN'
  | 'IN_USE'
  | 'SCOPE_MISSING'
  | 'ADDRESS_NOT_ALLOWED'
  | 'API_KEY_REVOKED'
  | 'WEBHOOK_DISABLED'
  | 'FEDERATED_LOGIN_REFUSED'
  | 'FEDERATED_EMAIL_UNVERIFIED'
  | 'IDENTITY_LINK_REQUIRED'
  | 'SIGN_UP_DISABLED'
  | 'IDENTITY_TAKEN'
  | 'LAST_CREDENTIAL'
  | 'INTERNAL';

export type FailureDetails = {
  /** How long (ms) the caller should wait before trying again. */
  retryAfterMs?: number;
  /** The fields at fault, by their path in the request. */
  fields?: readonly { path: string; description: string }[];
  /** Facts for programs, in addition to the reason. Must hold nothing secret. */
  metadata?: Readonly<Record<string, string>>;
};

/**
 * A failure for the caller, who sees its message and details as they are; the cause is only logged.
 * Anything else that is thrown is a bug, which the caller sees as an internal error.
 */
export class Failure extends Error {
  readonly kind: FailureKind;
  readonly reason: Reason;
  readonly details: FailureDetails;

  constructor(
    kind: FailureKind,
    reason: Reason,
    message: string,
    details: FailureDetails = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'Failure';
    this.kind = kind;
    this.reason = reason;
    this.details = details;
  }
}

/** Returns the failure of a dependency. It says nothing about the caller's credential. */
export function unavailable(what: string, cause?: unknown): Failure {
  return new Failure(
    'unavailable',
    'DEPENDENCY_UNAVAILABLE',
    `${what} is not available right now; try again in a moment`,
    { retryAfterMs: 1000 },
    cause,
  );
}
