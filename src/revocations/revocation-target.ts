/**
 * Which tokens a revocation concerns: those with this `sid`, this `jti`, of this `sub` issued before a
 * moment, exchanged for this API key, or signed by the key with this `kid`.
 */
export type RevocationTarget =
  | { kind: 'session' | 'token' | 'api_key' | 'signing_key'; id: string }
  | { kind: 'subject'; id: string; notBefore: Date };

/** A revocation as the table has it. */
export type RecordedRevocation = {
  rowId: string;
  target: RevocationTarget;
  cause: string;
  /** Microseconds since 1970 by the database's clock. */
  createdAtMicros: number;
  expiresAt: Date;
};
