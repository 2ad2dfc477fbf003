/** Who a verified access token or API key speaks for. Times are whole seconds since 1970. */
export type Principal = {
  type: 'user' | 'service_account';
  subject: string;
  /** Empty where there is none: an API key, or a token that one was exchanged for. */
  sessionId: string;
  /** The API key that the credential is, or was exchanged for; empty for sign-ins. */
  apiKeyId: string;
  tokenId: string;
  /** The `kid` of the key that signed its token. */
  keyId: string;
  emailVerified: boolean;
  /** None for API keys: what those may do is in their scopes alone. */
  roles: readonly string[];
  /** The roles that its owner's permissions follow from. */
  ownerRoles: readonly string[];
  scopes: readonly string[];
  permissions: readonly string[];
  amr: readonly string[];
  audience: readonly string[];
  /** 0 where nobody signed in. */
  authTime: number;
  issuedAt: number;
  expiresAt: number;
};

/** Who calls, by the access token that they showed. */
export type Own = { accountId: string; sessionId: string };
