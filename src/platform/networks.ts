import { BlockList, isIPv4, isIPv6 } from 'node:net';
import type { LRUCache } from 'lru-cache';
import { lruCache } from './lru-cache.ts';

const MAX_REMEMBERED = 10_000;

/**
 * A set of addresses, from a list of addresses and CIDRs. It remembers its answers for the latest
 * addresses, since every call asks and callers stay the same.
 */
export class Networks {
  readonly #blocks = new BlockList();
  readonly #known: LRUCache<string, boolean>;

  /** `maxRemembered` is the number of addresses whose answers it remembers. */
  constructor(networks: readonly string[], maxRemembered = MAX_REMEMBERED) {
    this.#known = lruCache(maxRemembered);
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIPv4(address) ? 'ipv4' : 'ipv6';
      if (prefix === undefined) this.#blocks.addAddress(address, family);
      else this.#blocks.addSubnet(address, Number(prefix), family);
    }
  }

  includes(address: string): boolean {
    let included = this.#known.get(address);
    if (included === undefined) {
      included = this.#look(address);
      this.#known.set(address, included);
    }
    return included;
  }

  #look(address: string): boolean {
    if (isIPv4(address)) return this.#blocks.check(address, 'ipv4');
    return isIPv6(address) && this.#blocks.check(address, 'ipv6');
  }
}
