import type { Principal } from '../../src/sessions/principal.ts';

/** A credential of a user, by key or without. */
export const principal = (subject: string, apiKeyId = ''): Principal => ({
  type: 'user',
  subject,
  sessionId: '',
  apiKeyId,
  tokenId: '',
  clientId: 'countersign',
  keyId: '',
  emailVerified: true,
  roles: [],
  ownerRoles: [],
  tokenVersion: undefined,
  scopes: [],
  permissions: [],
  actors: [],
  amr: [],
  idp: '',
  audience: [],
  authTime: 0,
  issuedAt: 0,
  expiresAt: 0,
});
