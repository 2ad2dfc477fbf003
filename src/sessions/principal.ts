/**
 * A service account that acts for the subject of a token, by the part of its own credential that says
 * whether it still may.
 */
export type Actor = Readonly<{
  type: 'user' | 'service_account';
  subject: string;
  /** Empty if it acted without a key. */
  apiKeyId: string;
  /** Of the token that it came with; empty for an API key itself. */
  tokenId: string;
  tokenVersion: number | undefined;
  ownerRoles: readonly string[];
  /** When the token that it acts with was issued. */
  issuedAt: number;
  sessionId: '';
  keyId: '';
  actors: readonly [];
}>;

/** The longest chain of actors. */
export const MAX_ACTORS = 4;

/**
 * The user or service account that a verified access token or API key speaks for. Times are whole
 * seconds since 1970.
 */
export type Principal = {
  type: 'user' | 'service_account';
  subject: string;
  /** Empty without a session: an API key, or a token that one was exchanged for. */
  sessionId: string;
  /** The API key that the credential is or was exchanged for; empty for a sign-in. */
  apiKeyId: string;
  tokenId: string;
  /** Who the token was issued to, by RFC 9068; of an API key, its own id. */
  clientId: string;
  /** The `kid` of the key that signed the token. */
  keyId: string;
  emailVerified: boolean;
  /** None for an API key, which may do what its scopes say and nothing else. */
  roles: readonly string[];
  /** The roles of the owner, from which the owner's permissions follow. */
  ownerRoles: readonly string[];
  /** Goes up when something is taken from the subject; undefined if the token has none. */
  tokenVersion: number | undefined;
  scopes: readonly string[];
  permissions: readonly string[];
  /** Who acts for the subject, the latest first; empty if nobody does (RFC 8693, section 4.1). */
  actors: readonly Actor[];
  amr: readonly string[];
  /** The configured name of the identity provider that the owner signed in with; empty without one. */
  idp: string;
  audience: readonly string[];
  /** 0 if nobody signed in. */
  authTime: number;
  issuedAt: number;
  expiresAt: number;
};
