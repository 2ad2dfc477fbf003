/** A loopback address without a port: a native app takes whatever port is free (RFC 8252, section 7.3). */
const ANY_PORT = /^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)(?=\/)/;
const PORT = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)):\d{1,5}(?=\/)/;
const LOOPBACK = /^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)(?::\d{1,5})?\//;
/** A reversed domain name: RFC 8252, section 7.1. */
const PRIVATE_USE = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:\/?(?!\/)/;

/**
 * What is wrong with a redirect URI that an operator lists; undefined if nothing is. Requests are compared
 * with it letter by letter, so it has to be written as URLs are sent, and a whole origin is no address.
 */
export function redirectUriProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (text.includes('?') || text.includes('#')) return 'has a query or a fragment';
  if (url.username !== '' || url.password !== '') return 'has a user';
  if (url.href !== text) return `is not written as it is sent, which is ${url.href}`;
  if (url.protocol !== 'https:' && !LOOPBACK.test(text) && !PRIVATE_USE.test(text)) {
    return 'begins neither with https://, http:// and a loopback address, nor a scheme like com.example.app:/';
  }
  return url.pathname === '/' || url.pathname === '' ? 'has no path' : undefined;
}

/** Whether a request names a redirect URI that is listed: the same text, or on another loopback port. */
export function isListedRedirect(listed: readonly string[], given: string): boolean {
  if (listed.includes(given)) return true;
  const withoutPort = given.replace(PORT, '$1');
  if (withoutPort === given || !URL.canParse(given)) return false;
  return listed.some((uri) => ANY_PORT.test(uri) && uri === withoutPort);
}
