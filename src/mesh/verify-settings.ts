import { RULE_SETTINGS, type Setting } from './rule.ts';

/** Settings that let something through, or hand something out. The others only ask for more. */
const LOOSENING: ReadonlySet<string> = new Set(['shadow', 'exchange']);

/** `/verify` and everything below it. */
export function isVerifyPath(url: string): boolean {
  return /^\/verify(?:[/?]|$)/.test(url);
}

/**
 * The settings of a rule in the URL that a proxy asks by.
 *
 * Some proxies append the path or the query of the client's request, if they are configured so. What a
 * client can add may only ask for more: an error, and so a refusal, if the URL has settings that loosen,
 * and anything in it can be the client's. `clientUris` are what the proxy says about the client's URL.
 */
export function verifySettings(url: string, clientUris: readonly string[]): Setting[] | Error {
  const [path = '', query = ''] = split(url);
  const settings = [...new URLSearchParams(query)];
  const loosening = settings.find(([name]) => LOOSENING.has(name));
  if (!loosening) return settings;
  const isClients =
    path !== '/verify' ||
    settings.some(([name]) => !RULE_SETTINGS.has(name)) ||
    clientUris.some((uri) => split(uri)[1] === query);
  if (!isClients) return settings;
  return new Error(`${loosening[0]} stands where the proxy passes the client's path or query on`);
}

function split(url: string): [path: string, query: string | undefined] {
  const at = url.indexOf('?');
  return at < 0 ? [url, undefined] : [url.slice(0, at), url.slice(at + 1)];
}
