import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** A TCP address to listen on. Port 0 asks the system for a free one. */
export type Address = { host: string; port: number };

/** The PEM files of a listener's certificate, and of the authorities whose clients it accepts. */
export type TlsFiles = { certFile: string; keyFile: string; clientCaFile: string | undefined };

/** Returns `host:port`, with the brackets that an IPv6 host needs. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether a host, as listeners, connections and URLs write it, is reached by its own machine only. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  const plain = name.replace(/^::ffff:/, '');
  return name === 'localhost' || name === '::1' || (isIPv4(plain) && plain.startsWith('127.'));
}

/**
 * Returns what limits count an address as. An IPv6 address counts as its /64 network, since anyone who
 * has one address of it has the other 2^64 too (W10).
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  // Without its zone: Node accepts interface names there that ipaddr.js does not.
  const { parts } = ipaddr.IPv6.parse(address.replace(/%.*$/, ''));
  return parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':');
}
