/**
 * The tokens that a revocation concerns: those with this `sid` or `jti`, those that an API key was
 * exchanged for, those signed by the key with this `kid`, or those of this `sub` of a lower
 * version. A token without a version is judged by its time: whether it was issued before a moment.
 */
export type RevocationTarget =
  | { kind: 'session' | 'token' | 'api_key' | 'signing_key'; id: string }
  | { kind: 'subject'; id: string; notBefore: Date; belowVersion?: number | undefined };

/** What a revocation that is announced again concerns. */
export type RepeatedTarget = { kind: RevocationTarget['kind']; id: string };

/** A revocation in the table. */
export type RecordedRevocation = {
  rowId: string;
  target: RevocationTarget;
  cause: string;
  /** Microseconds since 1970 by the database's clock. */
  createdAtMicros: number;
  expiresAt: Date;
};
