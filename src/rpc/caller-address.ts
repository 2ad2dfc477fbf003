import { isIP, isIPv4, SocketAddress } from 'node:net';
import type { Networks } from '../platform/networks.ts';

/** Where a call comes from. */
export type CallerAddress = {
  /** Empty if no address can be read. */
  ipAddress: string;
  /** Whether the address can't be forged: only then does it open anything. */
  addressIsCertain: boolean;
  /** What limits by address count the call under: an address, or the proxy that names none. */
  countedAs: string;
};

/**
 * Returns an IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2) as IPv4. Every call asks
 * for it, and ipaddr.js would take 3 µs.
 */
export function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** The address of a caller who is connected to us without a proxy that we trust. */
export function directAddress(connection: string, isForwarded: boolean): CallerAddress {
  return { ipAddress: connection, addressIsCertain: !isForwarded, countedAs: connection };
}

/**
 * The address of a caller behind the trusted proxy `proxy`: the last one in its `X-Forwarded-For`, or in
 * its `Forwarded` (RFC 7239), that is not a trusted proxy itself. An entry that can't be read counts as
 * no address, and never as the proxy's.
 *
 * If both headers come, they must agree: a proxy that writes one of them may pass on whatever callers
 * put into the other. If they don't, `X-Forwarded-For` is recorded, since most proxies write that one,
 * but nothing opens by it, and limits count the call under the proxy.
 */
export function forwardedAddress(
  { xForwardedFor, forwarded }: Record<'xForwardedFor' | 'forwarded', string | undefined>,
  proxy: string,
  trusted: Networks,
): CallerAddress {
  const lists = [
    ...(xForwardedFor === undefined ? [] : [listedHops(xForwardedFor)]),
    ...(forwarded === undefined ? [] : [elementHops(forwarded)]),
  ];
  const clients = lists.map((hops) => firstStranger(hops, trusted));
  const [client] = clients;
  const isCertain = client !== undefined && clients.every((other) => other === client);
  return {
    ipAddress: client ?? '',
    addressIsCertain: isCertain,
    countedAs: isCertain ? client : `proxy ${proxy}`,
  };
}

/** The hop nearest to us that is not a trusted proxy; undefined if it or one on the way is unreadable. */
function firstStranger(hops: Iterable<string | undefined>, trusted: Networks): string | undefined {
  let client: string | undefined;
  for (const hop of hops) {
    client = hop === undefined ? undefined : hopAddress(hop);
    if (client === undefined || !trusted.includes(client)) return client;
  }
  return client;
}

/** `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`; the first and the last with a port or without. */
const HOP = /^(?:\[([\da-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::(?:\d{1,5}|_[\w.-]+))?$/i;

/** The address of a hop. There is none in `unknown` and names like `_hidden` (RFC 7239, section 6). */
function hopAddress(hop: string): string | undefined {
  const [, bracketed, plain = hop] = HOP.exec(hop) ?? [];
  const address = bracketed ?? plain;
  if (isIPv4(address)) return bracketed === undefined ? address : undefined;
  // A zone (`%eth0`) means something only on the machine that wrote it.
  if (isIP(address) === 0 || address.includes('%')) return undefined;
  return plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);
}

/** The hops of `X-Forwarded-For`, the nearest first. */
function listedHops(header: string): string[] {
  return header
    .split(',')
    .reverse()
    .map((hop) => hop.trim());
}

const PAIR = '\\s*([\\w-]+)=("(?:[^"\\\\]|\\\\.)*"|[^\\s",;=]+)\\s*';
const ELEMENT = new RegExp(`^${PAIR}(?:;${PAIR})*$`);
/** How many commas in quotes an element may have. */
const MAX_COMMAS = 4;

/**
 * The hops of `Forwarded`, the nearest first; undefined for one that names nobody. It is read from its
 * end, so that quotes that a caller has left open don't swallow what proxies have added.
 */
function* elementHops(header: string): Generator<string | undefined> {
  const parts = header.split(',');
  let end = parts.length;
  while (end > 0) {
    let start = end - 1;
    let element = parts[start] ?? '';
    while (!ELEMENT.test(element)) {
      start -= 1;
      if (start < 0 || end - start > MAX_COMMAS + 1) return yield undefined;
      element = `${parts[start]},${element}`;
    }
    yield forOf(element);
    end = start;
  }
}

/** The value of the one parameter `for` of an element; undefined if it has none, or several. */
function forOf(element: string): string | undefined {
  const pairs = [...element.matchAll(new RegExp(PAIR, 'g'))];
  const [found, ...others] = pairs.filter(([, name]) => name?.toLowerCase() === 'for');
  if (others.length > 0) return undefined;
  const value = found?.[2];
  return value?.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value;
}
