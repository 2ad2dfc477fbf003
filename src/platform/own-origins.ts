const LOOPBACK = new Set(['127.0.0.1', '[::1]']);

/**
 * The origins at which browsers see the service's own pages. One at a loopback address can be reached as
 * `localhost` as well, which is the last then: browsers refuse passkeys for addresses.
 */
export function ownOrigins(publicUrl: string): string[] {
  const url = new URL(publicUrl);
  const origins = [url.origin];
  if (!LOOPBACK.has(url.hostname)) return origins;
  url.hostname = 'localhost';
  return [...origins, url.origin];
}
