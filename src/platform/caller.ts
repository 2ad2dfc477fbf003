import { v7 as uuidv7 } from 'uuid';

/** Who makes a call, and how: everything that a use case may know about the call it serves. */
export type Caller = {
  requestId: string;
  /**
   * The client's address, as a trusted proxy reports it if there is one; empty for the operator, or if
   * the proxy's report can't be read.
   */
  ipAddress: string;
  /** Whether the address can't be forged. An address that is not certain opens nothing. */
  addressIsCertain: boolean;
  userAgent: string;
  /** The languages that it asks for: `accept-language`, as it is. */
  languages: string;
  /** Whether it is a page whose browser keeps the refresh token in a cookie. */
  inBrowser: boolean;
  /** Fires when the caller is gone or its deadline has passed. */
  signal: AbortSignal;
  /** `operator`: the service itself or its command line, which may do everything. */
  kind: 'anonymous' | 'user' | 'service_account' | 'operator';
  /** The id of the user or service account whose credential came with the call; empty if none. */
  subject: string;
  /** The caller's session. Empty for an API key, or a token that one was exchanged for. */
  sessionId: string;
  /** The API key that the credential is, or came from; empty if none. */
  apiKeyId: string;
  /** Who acts with the credential for the subject, the latest first; empty if nobody does. */
  actors: readonly { subject: string; apiKeyId: string }[];
  /** What the credential allows, by its owner's roles and its own scopes. */
  permissions: readonly string[];
};

/** Returns the caller for the command line, or for the service itself at its start. */
export function operator(): Caller {
  return {
    requestId: uuidv7(),
    ipAddress: '',
    addressIsCertain: false,
    userAgent: 'countersign',
    languages: '',
    inBrowser: false,
    signal: new AbortController().signal,
    kind: 'operator',
    subject: '',
    sessionId: '',
    apiKeyId: '',
    actors: [],
    permissions: [],
  };
}

/**
 * The caller's session if it belongs to this account: a mailed link may be opened by anyone, signed in
 * as someone else or not at all.
 */
export function ownSession({ subject, sessionId }: Caller, accountId: string): string | undefined {
  return subject === accountId && sessionId !== '' ? sessionId : undefined;
}

/** Returns whether the caller holds a permission. The operator holds them all. */
export function holds({ kind, permissions }: Caller, permission: string): boolean {
  return kind === 'operator' || permissions.includes(permission);
}
