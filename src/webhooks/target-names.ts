import { Resolver } from 'node:dns/promises';

const TIMEOUT_MS = 2000;
const TRIES = 2;
/** What a name server says if a name has no addresses. */
const NONE: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA']);

/** Returns the addresses of a name: none if it has none. Throws if no name server says. */
export type Resolve = (name: string) => Promise<string[]>;

/**
 * Asks the name servers of this machine, or the given ones. It does not use `getaddrinfo`, whose threads
 * are those of files and hashes: a few names that nobody answers for would stop those.
 */
export function nameServers(servers?: readonly string[]): Resolve {
  return async (name) => {
    // A new one each time, so that it follows the configuration of the machine.
    const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
    if (servers) resolver.setServers(servers);
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value : [],
    );
    if (addresses.length > 0) return addresses;
    for (const answer of answers) {
      if (answer.status === 'rejected' && !NONE.has(answer.reason?.code)) throw answer.reason;
    }
    return [];
  };
}
