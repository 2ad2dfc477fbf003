/** The call that a use case serves: what it may need to know of where it came from. */
export type Caller = {
  requestId: string;
  /** The address of the caller, as a trusted proxy says where there is one; empty: the command line. */
  ipAddress: string;
  userAgent: string;
  /** Fires when the caller has gone or its deadline has passed. */
  signal: AbortSignal;
  /** Whose credential came with the call, where a valid one came. */
  principal?:
    | {
        subject: string;
        type: 'user' | 'service_account';
        /** The API key that the credential is or came from. */
        apiKeyId?: string | undefined;
      }
    | undefined;
};
