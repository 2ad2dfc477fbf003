/** A service account that acts for the principal of a token, and what revokes what it acts with. */
export type Actor = {
  readonly type: 'user' | 'service_account';
  readonly subject: string;
  /** Empty if it acted without a key. */
  readonly apiKeyId: string;
  /** Of the token that it came with; empty for an API key itself. */
  readonly tokenId: string;
  readonly tokenVersion: number | undefined;
  readonly issuedAt: number;
};

/**
 * The user or service account that a credential speaks for, and what the credential allows. Times are in
 * seconds since 1970.
 */
export type Principal = {
  readonly type: 'user' | 'service_account';
  /** The id of the user or service account: a UUID, the token's `sub`. */
  readonly subject: string;
  /** Empty without a session: an API key, or a token that one was exchanged for. */
  readonly sessionId: string;
  /** The API key that the credential is, or was exchanged for. Empty for a sign-in. */
  readonly apiKeyId: string;
  /** The token's `jti`. Empty for an API key, and for what the service was asked about. */
  readonly tokenId: string;
  /** The `kid` of the key that signed the token; empty as `tokenId` is. */
  readonly keyId: string;
  readonly emailVerified: boolean;
  /** None for an API key, which may do what its scopes say and nothing else. */
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly scopes: readonly string[];
  /** How the user signed in, in the terms of RFC 8176. */
  readonly amr: readonly string[];
  readonly audience: readonly string[];
  /** When the user last signed in; 0 if nobody did. */
  readonly authTime: number;
  readonly issuedAt: number;
  /** `Infinity` for an API key that does not expire. */
  readonly expiresAt: number;
  /** Goes up when something is taken from the subject; undefined if unknown. */
  readonly tokenVersion: number | undefined;
  /** Who acts for the subject, the latest first; empty if nobody does (RFC 8693). */
  readonly actors: readonly Actor[];
};

/** Whether it is a person who has signed in themselves: no key, no program, nobody who acts for them. */
export function isSignIn({ sessionId, actors }: Principal): boolean {
  return sessionId !== '' && actors.length === 0;
}

/** Its handlers share it with later calls of the same caller: none may add a permission to it. */
export function frozen(principal: Principal): Principal {
  for (const list of ['roles', 'permissions', 'scopes', 'amr', 'audience', 'actors'] as const) {
    Object.freeze(principal[list]);
  }
  return Object.freeze(principal);
}
