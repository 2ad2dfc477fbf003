import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';

const REMEMBERED = 10_000;

/**
 * A set of addresses, from a list of addresses and CIDRs. It remembers what it said of the last
 * addresses: callers stay the same, and every call asks.
 */
export class Networks {
  readonly #blocks = new BlockList();
  readonly #known: LRUCache<string, boolean>;

  /** `remembered`: of how many addresses it remembers what it said. */
  constructor(networks: readonly string[], remembered = REMEMBERED) {
    this.#known = new LRUCache({ max: remembered });
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
