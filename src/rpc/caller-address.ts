import { isIP } from 'node:net';
import type { Networks } from '../platform/networks.ts';

/**
 * An IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2) as the IPv4 address it is. Every
 * call asks for it, and ipaddr.js would take 3 µs.
 */
export function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/**
 * The address that a call comes from, by its `X-Forwarded-For` and the address of the trusted proxy
 * that handed it to us: the last address in the list that is not a trusted proxy itself.
 */
export function forwardedAddress(forwarded: string, proxy: string, trusted: Networks): string {
  let client = proxy;
  for (const hop of forwarded.split(',').reverse()) {
    const address = plainAddress(hop.trim());
    if (isIP(address) === 0) return client;
    client = address;
    if (!trusted.includes(address)) return client;
  }
  return client;
}
