import { compactVerify, decodeProtectedHeader, errors } from 'jose';
import { VerifierError } from './errors.ts';
import type { VerificationKey } from './key-set.ts';
import { type Actor, frozen, type Principal } from './principal.ts';

const MAX_TOKEN_BYTES = 4096;
const CLOCK_TOLERANCE_SECONDS = 5;
/** A JWS in compact form, RFC 7515 section 3.1. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** The last second of the year 9999, the last that a protobuf timestamp can express. */
const LATEST_SECONDS = 253_402_300_799;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Claims = Readonly<Record<string, unknown>>;

/** Throws if it is too long for an access token, before anything else is done with it. */
export function requireLength(token: string): void {
  if (token.length > MAX_TOKEN_BYTES) throw invalidToken();
}

/** Throws unless it looks like an access token, before any parsing or cryptography. */
export function requireForm(token: string): void {
  if (!COMPACT_JWS.test(token)) throw invalidToken();
}

/** The `kid` of the key that an access token says it was signed with. Throws if it says none. */
export function keyIdOf(token: string): string {
  const { typ, kid, crit } = headerOf(token) ?? {};
  // With or without `application/`, which RFC 7515 lets issuers omit (RFC 9068, section 4).
  const isAccessToken = typeof typ === 'string' && /^(application\/)?at\+jwt$/i.test(typ);
  // No critical extension is supported (RFC 7515, section 4.1.11).
  if (!isAccessToken || typeof kid !== 'string' || crit !== undefined) throw invalidToken();
  return kid;
}

function headerOf(token: string) {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** What a token must be: of this issuer, and not from the future. */
type Expected = { readonly issuer: string; readonly nowSeconds: number };

/**
 * The principal of an access token (RFC 9068) that this key signed. The key decides the algorithm, never
 * the token. Throws for anything else. Whether it has expired is checked at each use.
 */
export async function principalOfToken(
  token: string,
  { id, key, algorithm }: VerificationKey,
  { issuer, nowSeconds }: Expected,
): Promise<Principal> {
  if (!isOneText(token)) throw invalidToken();
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
    const claims = claimsOf(payload);
    const principal = claims && principalOf(claims, id);
    if (!principal || claims['iss'] !== issuer) throw invalidToken();
    // Allows for clocks that differ a little.
    const latest = nowSeconds + CLOCK_TOLERANCE_SECONDS;
    if (principal.issuedAt > latest || Number(claims['nbf'] ?? 0) > latest) throw invalidToken();
    return principal;
  } catch (error) {
    if (error instanceof errors.JOSEError) throw invalidToken();
    throw error;
  }
}

/** Whether the signature is in its only valid spelling: the spare bits are zero (RFC 4648, 3.5). */
function isOneText(token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  return Buffer.from(signature, 'base64url').toString('base64url') === signature;
}

function claimsOf(payload: Uint8Array): Claims | undefined {
  try {
    const claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof claims === 'object' && !Array.isArray(claims) ? (claims ?? undefined) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined if a claim is missing or malformed. */
function principalOf(claims: Claims, keyId: string): Principal | undefined {
  const { sub, jti, iat, exp, nbf, scope, client_id: client } = claims;
  const { email_verified: emailVerified, token_version: tokenVersion } = claims;
  const audience = typeof claims['aud'] === 'string' ? [claims['aud']] : claims['aud'];
  const origin = originOf(claims);
  const actors = actorsOf(claims['act'], iat);
  if (!origin || !actors || !isUuid(sub) || !isText(jti) || !isText(client)) return undefined;
  if (typeof scope !== 'string' || typeof emailVerified !== 'boolean') return undefined;
  if (!isSeconds(iat) || !isSeconds(exp)) return undefined;
  if (nbf !== undefined && !isSeconds(nbf)) return undefined;
  if (!isTextList(audience) || audience.length === 0) return undefined;
  // Tokens issued before there were versions have none.
  if (tokenVersion !== undefined && !isSeconds(tokenVersion)) return undefined;
  const scopes = scope === '' ? [] : scope.split(' ');
  return frozen({
    ...origin,
    subject: sub,
    tokenId: jti,
    keyId,
    emailVerified,
    permissions: scopes,
    scopes,
    audience,
    issuedAt: iat,
    expiresAt: exp,
    tokenVersion,
    actors,
  });
}

type Origin = Pick<Principal, 'type' | 'sessionId' | 'apiKeyId' | 'roles' | 'amr' | 'authTime'>;

function originOf(claims: Claims): Origin | undefined {
  const { sid, api_key_id: id } = claims;
  const type = subjectType(claims);
  if (id !== undefined) return apiKey(claims);
  if (sid === undefined && type === 'service_account') return { ...PROGRAM, type, apiKeyId: '' };
  return signIn(claims);
}

/** Versions from before `act` miss `sub_type` in tokens that have it, and so refuse them. */
function subjectType(claims: Claims): unknown {
  return claims[claims['act'] === undefined ? 'sub_type' : 'subject_type'];
}

const PROGRAM = { sessionId: '', roles: [], amr: [], authTime: 0 };

/** Who acts for a user has none of the user's roles. */
function signIn(claims: Claims): Origin | undefined {
  const { sid, amr, acr, auth_time: authTime, act } = claims;
  const roles = act === undefined ? claims['roles'] : [];
  if (!isUuid(sid) || !isTextList(roles) || !isTextList(amr)) return undefined;
  if (!isText(acr) || !isSeconds(authTime)) return undefined;
  return { type: 'user', sessionId: sid, apiKeyId: '', roles, amr, authTime };
}

function apiKey(claims: Claims): Origin | undefined {
  const { api_key_id: id, sid } = claims;
  const type = subjectType(claims);
  if (!isUuid(id) || sid !== undefined) return undefined;
  if (type !== 'user' && type !== 'service_account') return undefined;
  return { ...PROGRAM, type, apiKeyId: id };
}

/** The actors in `act` (RFC 8693, section 4.1), the latest first; undefined if it is malformed. */
function actorsOf(act: unknown, issuedAt: unknown): readonly Actor[] | undefined {
  const actors: Actor[] = [];
  for (let next = act; next !== undefined; next = (next as Claims)['act']) {
    if (typeof next !== 'object' || next === null || !isSeconds(issuedAt)) return undefined;
    const { sub, sub_type: type, token_version: tokenVersion } = next as Claims;
    const { api_key_id: apiKeyId = '', jti: tokenId = '' } = next as Claims;
    if (!isUuid(sub) || (type !== 'user' && type !== 'service_account')) return undefined;
    if (typeof apiKeyId !== 'string' || typeof tokenId !== 'string') return undefined;
    if (tokenVersion !== undefined && !isSeconds(tokenVersion)) return undefined;
    actors.push(Object.freeze({ type, subject: sub, apiKeyId, tokenId, tokenVersion, issuedAt }));
  }
  return actors;
}

function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isSeconds(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LATEST_SECONDS;
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => isText(item));
}

export function invalidToken(): VerifierError {
  return new VerifierError('TOKEN_INVALID', 'the access token is not valid');
}

export function expiredToken(): VerifierError {
  return new VerifierError('TOKEN_EXPIRED', 'the credential has expired');
}

export function revokedToken(): VerifierError {
  return new VerifierError('TOKEN_REVOKED', 'the credential has been revoked');
}
