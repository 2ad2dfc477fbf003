import { lruCache } from '../platform/lru-cache.ts';
import { RULE_SETTINGS, type Setting } from './rule.ts';

/**
 * Settings that let something through or hand something out, or, as `audience`, take the place of a
 * default. The others only ask for more.
 */
const LOOSENING: ReadonlySet<string> = new Set(['shadow', 'exchange', 'audience']);

/** `/verify` and everything below it. */
export function isVerifyPath(url: string): boolean {
  return /^\/verify(?:[/?]|$)/.test(url);
}

/** What the URL that a proxy asks by says. */
type Asked = {
  settings: readonly Setting[];
  /** Those of them that loosen. */
  loosening: readonly Setting[];
  /** Whether it has more than the proxy's own configuration would. */
  isExtended: boolean;
};

/** How many different URLs are remembered; a mesh has one for each kind of route. */
const REMEMBERED = 1000;
const MAX_REMEMBERED_LENGTH = 1024;

/** Reads the settings of a rule in the URL that a proxy asks by, and remembers them. */
export class VerifySettings {
  readonly #known = lruCache<string, Asked>(REMEMBERED);

  /**
   * Some proxies append the path or the query of the client's request, if they are configured so. What a
   * client can add may only ask for more: an error, and so a refusal, if the URL has settings that
   * loosen, and anything in it can be the client's. `clientUris` are what the proxy says about the
   * client's URL.
   */
  read(url: string, clientUris: readonly string[]): readonly Setting[] | Error {
    const { settings, loosening, isExtended } = this.#asked(url);
    const [first] = loosening;
    if (!first) return settings;
    const isClients = isExtended || clientUris.some((uri) => hasAny(uri, loosening));
    if (!isClients) return settings;
    return new Error(`${first[0]} stands where the proxy passes the client's path or query on`);
  }

  #asked(url: string): Asked {
    const known = this.#known.get(url);
    if (known) return known;
    const asked = askedBy(url);
    // What a client can add to it must not fill the memory.
    if (url.length <= MAX_REMEMBERED_LENGTH) this.#known.set(url, asked);
    return asked;
  }
}

function askedBy(url: string): Asked {
  const [path = '', query = ''] = split(url);
  const settings = [...new URLSearchParams(query)];
  return {
    settings,
    loosening: settings.filter(([name]) => LOOSENING.has(name)),
    isExtended: path !== '/verify' || settings.some(([name]) => !RULE_SETTINGS.has(name)),
  };
}

/** Whether the URI has one of the settings itself, however it is written and whatever is around it. */
function hasAny(uri: string, settings: readonly Setting[]): boolean {
  const own = new URLSearchParams(split(uri)[1]);
  return settings.some(([name, value]) => own.getAll(name).includes(value));
}

function split(url: string): [path: string, query: string | undefined] {
  const at = url.indexOf('?');
  return at < 0 ? [url, undefined] : [url.slice(0, at), url.slice(at + 1)];
}
