import { Secret, TOTP } from 'otpauth';

/** The defaults of RFC 6238 and of every authenticator app. */
const PERIOD_SECONDS = 30;
const OPTIONS = { algorithm: 'SHA1', digits: 6, period: PERIOD_SECONDS } as const;
/** RFC 4226, section 4, recommends 160 bits. */
export const SECRET_BYTES = 20;
/** Codes of the step before and the step after are accepted: RFC 6238, section 5.2. */
const WINDOW_STEPS = 1;

/** Returns the secret as people type it (base32), and as the URI that apps scan. */
export function totpUri(
  secret: Uint8Array,
  issuer: string,
  account: string,
): { secret: string; uri: string } {
  const totp = new TOTP({ ...OPTIONS, issuer, label: account, secret: secretOf(secret) });
  return { secret: totp.secret.base32, uri: totp.toString() };
}

/**
 * Returns the time step that a code of six digits belongs to; undefined if it is none of the three steps
 * around `now`. A caller that accepts the code has to use the step up: RFC 6238, section 5.2.
 */
export function totpStep(secret: Uint8Array, code: string, now: Date): number | undefined {
  const totp = new TOTP({ ...OPTIONS, secret: secretOf(secret) });
  const token = code.replaceAll(' ', '');
  const delta = totp.validate({ token, timestamp: now.getTime(), window: WINDOW_STEPS });
  if (delta === null) return undefined;
  return Math.floor(now.getTime() / 1000 / PERIOD_SECONDS) + delta;
}

function secretOf(secret: Uint8Array): Secret {
  return new Secret({ buffer: Uint8Array.from(secret).buffer });
}
