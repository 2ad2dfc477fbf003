/** Browsers take a cookie with this prefix from its own host only, never from a host beside or below it. */
const NAME = '__Host-countersign';
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** The `Set-Cookie` (RFC 6265bis) that gives a refresh token to the browser for so many seconds. */
export function sessionCookie(refreshToken: string, seconds: number): string {
  return `${NAME}=${refreshToken}; ${ATTRIBUTES}; Max-Age=${seconds}`;
}

/** The `Set-Cookie` that takes it away. */
export function forgottenCookie(): string {
  return sessionCookie('', 0);
}

/**
 * What browsers put between cookies (RFC 6265bis, section 5.8.3). Nothing else may be taken off a name: a host
 * beside the service can plant a cookie whose name begins with some other white space, which is no prefix
 * to a browser.
 */
const BETWEEN = /; ?/;

/**
 * The refresh token in a `Cookie` header, if there is one. Of several, none is right: browsers keep one,
 * so that somebody else has added the others.
 */
export function cookieIn(header: string): string | undefined {
  const values = header
    .split(BETWEEN)
    .map((pair) => pair.split('='))
    .filter(([name]) => name === NAME)
    .map(([, ...value]) => value.join('='));
  return values.length === 1 && values[0] !== '' ? values[0] : undefined;
}
