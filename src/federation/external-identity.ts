import { isAddress } from '../accounts/check-email.ts';
import type { ProviderSettings } from './provider-settings.ts';

/** Whom a provider says that someone is. Nothing of it has been compared with our accounts. */
export type ExternalIdentity = {
  issuer: string;
  /** The provider's name for the person, which is compared byte for byte. */
  subject: string;
  /** Undefined unless it is an address that could sign up. */
  email: string | undefined;
  /** Whether the provider has verified that the address is the person's. */
  isVerified: boolean;
  /** Whether the provider itself answers for the address, so that nobody else can have it. */
  isAuthoritative: boolean;
  displayName: string;
  /** Whether the provider has asked for a second factor, by what the operator has configured. */
  hasSecondFactor: boolean;
  /** When the person proved to the provider who they are, in seconds since 1970, if it says so. */
  authTime: number | undefined;
};

export type Claims = Readonly<Record<string, unknown>>;

/** Printable ASCII, as OpenID Connect Core, section 2 has it. */
const SUBJECT = /^[\x20-\x7e]{1,255}$/;
const MAX_NAME = 200;
const CONTROL = /\p{Cc}/u;

/** What a provider says breaks its own rules. The message quotes nothing of it. */
export class UnusableClaims extends Error {
  override readonly name = 'UnusableClaims';
}

/**
 * Reads the claims of an ID token whose signature has been verified, and what the userinfo endpoint adds to
 * them. Throws `UnusableClaims` for a subject that can't be one; other malformed claims count as missing.
 */
export function identityFromClaims(
  settings: ProviderSettings,
  idToken: Claims,
  userInfo: Claims = {},
): ExternalIdentity {
  const claims = { ...userInfo, ...idToken };
  // What one of the two says of its address says nothing of the other's.
  const besideAddress = 'email' in idToken ? idToken : userInfo;
  const email = emailOf(claims['email']);
  const authTime = idToken['auth_time'];
  return {
    issuer: settings.issuer,
    subject: subjectOf(idToken['sub']),
    email,
    isVerified: email !== undefined && isVerified(settings, claims, besideAddress),
    isAuthoritative: email !== undefined && isAuthoritative(settings, claims, email),
    displayName: displayNameOf(claims['name']),
    hasSecondFactor: hasSecondFactor(settings, idToken),
    authTime: typeof authTime === 'number' && authTime >= 0 ? authTime : undefined,
  };
}

function subjectOf(value: unknown): string {
  if (typeof value === 'string' && SUBJECT.test(value)) return value;
  throw new UnusableClaims('the subject is malformed');
}

/** An address by the rules of a sign-up. */
export function emailOf(value: unknown): string | undefined {
  return typeof value === 'string' && isAddress(value) ? value : undefined;
}

export function displayNameOf(value: unknown): string {
  const isName = typeof value === 'string' && !CONTROL.test(value);
  return isName ? [...value.trim()].slice(0, MAX_NAME).join('') : '';
}

function isVerified(settings: ProviderSettings, claims: Claims, besideAddress: Claims): boolean {
  const { email_verified: isMarked, xms_edov: isOfOwner } = besideAddress;
  if (settings.preset !== 'microsoft') return isMarked === true;
  return isVerifiedByMicrosoft(settings, { ...claims, xms_edov: isOfOwner });
}

/**
 * An administrator of any directory can give its people any address, so that an address alone means nothing:
 * either the owner of its domain has been verified, or the operator trusts the directory, and the person is
 * no guest of it from another one.
 */
function isVerifiedByMicrosoft({ trustEmail, issuer }: ProviderSettings, claims: Claims): boolean {
  const { xms_edov: verified, idp } = claims as { xms_edov?: unknown; idp?: unknown };
  if (verified === true || verified === 1 || verified === '1' || verified === 'true') return true;
  return trustEmail && (idp === undefined || idp === issuer);
}

/** Google answers for its own addresses, and for those of a domain that it hosts (`hd`). */
function isAuthoritative(settings: ProviderSettings, claims: Claims, email: string): boolean {
  if (settings.trustEmail) return true;
  if (settings.preset !== 'google') return false;
  const domain = email.toLowerCase().split('@').at(-1);
  return domain === 'gmail.com' || domain === claims['hd'];
}

function hasSecondFactor({ mfaAmr, mfaAcr }: ProviderSettings, { amr, acr }: Claims): boolean {
  const methods: unknown[] = Array.isArray(amr) ? amr : [];
  return (
    methods.some((method) => mfaAmr.includes(method as string)) || mfaAcr.includes(acr as string)
  );
}
