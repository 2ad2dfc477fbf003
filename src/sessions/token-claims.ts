import { actOf, actorsOf } from './actor-claims.ts';
import { isSeconds, isText, isTextList, isUuid } from './claim-values.ts';
import type { Principal } from './principal.ts';

type Claims = Readonly<Record<string, unknown>>;

/** The `amr` of a proof to an identity provider. RFC 8176 has no name for it; this is the usual one. */
export const FEDERATED = 'fed';

/** The claims of a JWT's payload (RFC 7519, section 7.2), or undefined if it is no JSON object. */
export function parseClaims(payload: Uint8Array): Claims | undefined {
  try {
    const claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof claims === 'object' && !Array.isArray(claims) ? (claims ?? undefined) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The principal described by the claims of an access token (RFC 9068), or undefined if a claim is
 * missing or malformed (S04). `keyId` names the key that signed it. Issuer and times are checked
 * elsewhere.
 */
export function principalOf(claims: Claims, keyId: string): Principal | undefined {
  const { sub, jti, iat, exp, scope } = claims;
  const { client_id: client, email_verified: emailVerified } = claims;
  const { token_version: tokenVersion } = claims;
  const audience = typeof claims['aud'] === 'string' ? [claims['aud']] : claims['aud'];
  const actors = actorsOf(claims['act'], iat);
  const origin = originOf(claims);
  if (!origin || !actors || !isUuid(sub)) return undefined;
  if (!isText(jti) || !isText(client) || typeof scope !== 'string') return undefined;
  if (!isSeconds(iat) || !isSeconds(exp)) return undefined;
  if (!isTextList(audience) || audience.length === 0) return undefined;
  if (typeof emailVerified !== 'boolean') return undefined;
  // Tokens issued before there were versions have none.
  if (tokenVersion !== undefined && !isSeconds(tokenVersion)) return undefined;
  const scopes = scope === '' ? [] : scope.split(' ');
  return Object.freeze({
    ...origin,
    subject: sub,
    tokenId: jti,
    clientId: client,
    keyId,
    emailVerified,
    tokenVersion,
    scopes,
    permissions: scopes,
    actors,
    audience,
    issuedAt: iat,
    expiresAt: exp,
  });
}

/**
 * The claims about a principal in a token that its credential is exchanged for: the same subject, session
 * or API key, so that what revokes the credential revokes the token. `principalOf` reads them.
 */
export function claimsOf(principal: Principal, scopes: readonly string[]): Claims {
  const { subject, apiKeyId, roles, ownerRoles, tokenVersion, emailVerified, actors } = principal;
  const claims = {
    sub: subject,
    scope: scopes.join(' '),
    token_version: tokenVersion,
    email_verified: emailVerified,
    // Without `roles`, whoever knows nothing of actors takes it for malformed.
    ...(actors.length === 0 ? { roles } : { owner_roles: ownerRoles, act: actOf(actors) }),
  };
  const { type, sessionId, amr, idp, authTime } = principal;
  if (sessionId === '') {
    const key = apiKeyId === '' ? {} : { api_key_id: apiKeyId };
    // Of actors, versions from before know nothing: they miss `sub_type`, and so take it for malformed.
    const whose = actors.length === 0 ? { sub_type: type } : { subject_type: type };
    return { ...claims, ...whose, ...key, owner_roles: ownerRoles };
  }
  const signedIn = { sid: sessionId, amr, acr: acrOf(amr), auth_time: authTime };
  return { ...claims, ...signedIn, ...(idp !== '' && { idp }) };
}

/** The level of assurance that the factors of a sign-in amount to. */
export function acrOf(amr: readonly string[]): 'aal1' | 'aal2' {
  return amr.includes('mfa') ? 'aal2' : 'aal1';
}

type Origin = Pick<
  Principal,
  'type' | 'sessionId' | 'apiKeyId' | 'roles' | 'ownerRoles' | 'amr' | 'idp' | 'authTime'
>;

function originOf(claims: Claims): Origin | undefined {
  const { sid, api_key_id: id } = claims;
  const type = subjectType(claims);
  if (id !== undefined) return apiKey(claims);
  return sid === undefined && type === 'service_account' ? workload(claims) : signIn(claims);
}

/** What a token says about the sign-in that it comes from. */
function signIn(claims: Claims): Origin | undefined {
  const { sid, amr, acr, auth_time: authTime, idp, act } = claims;
  // Who acts for a user has none of the user's roles, as an API key has none.
  const ownerRoles = claims[act === undefined ? 'roles' : 'owner_roles'];
  if (!isTextList(ownerRoles)) return undefined;
  if (!isUuid(sid) || !isTextList(amr) || !isText(acr) || !isSeconds(authTime)) return undefined;
  if (idp !== undefined && !isText(idp)) return undefined;
  const roles = act === undefined ? ownerRoles : [];
  const proof = { amr, idp: idp ?? '', authTime };
  return { type: 'user', sessionId: sid, apiKeyId: '', roles, ownerRoles, ...proof };
}

/** What a token says about the API key that it was exchanged for, without a sign-in. */
function apiKey(claims: Claims) {
  const { api_key_id: id, sid, owner_roles: ownerRoles } = claims;
  const type = subjectType(claims);
  if (!isTextList(ownerRoles)) return undefined;
  if (!isUuid(id) || (type !== 'user' && type !== 'service_account')) return undefined;
  if (sid !== undefined) return undefined;
  return { ...PROGRAM, type, apiKeyId: id, ownerRoles } as Origin;
}

/** What a token says about a service account that showed a token of its platform, without a key. */
function workload({ owner_roles: ownerRoles }: Claims): Origin | undefined {
  if (!isTextList(ownerRoles)) return undefined;
  return { ...PROGRAM, type: 'service_account', apiKeyId: '', ownerRoles };
}

function subjectType(claims: Claims): unknown {
  return claims[claims['act'] === undefined ? 'sub_type' : 'subject_type'];
}

const PROGRAM = { sessionId: '', roles: [], amr: [], idp: '', authTime: 0 };
