/** Who a verified access token speaks for. Times are whole seconds since 1970. */
export type Principal = {
  type: 'user' | 'service_account';
  subject: string;
  sessionId: string;
  tokenId: string;
  /** The `kid` of the key that signed its token. */
  keyId: string;
  emailVerified: boolean;
  roles: readonly string[];
  scopes: readonly string[];
  permissions: readonly string[];
  amr: readonly string[];
  audience: readonly string[];
  authTime: number;
  issuedAt: number;
  expiresAt: number;
};
