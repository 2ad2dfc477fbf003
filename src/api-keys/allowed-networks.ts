import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { invalidField } from '../platform/invalid-field.ts';

const FORM = /^([\da-fA-F:.]+)(?:\/(0|[1-9]\d{0,2}))?$/;
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;
const MAPPED_BITS = 96;

/**
 * Addresses and CIDRs in the one spelling that is stored: IPv4 mapped into IPv6 (RFC 4291, section
 * 2.5.5.2) as IPv4, other IPv6 as in RFC 5952, and an address without its full prefix.
 *
 * Throws `INVALID_REQUEST` for anything else, naming its place in the field `path`.
 */
export function allowedNetworks(texts: readonly string[], path: string): string[] {
  const networks = texts.map((text, index) => {
    const network = readNetwork(text);
    if (network !== undefined) return network;
    const description = 'is not an address or CIDR like 192.0.2.0/24 or 2001:db8::/32';
    throw invalidField(`${path}[${index}]`, description);
  });
  return [...new Set(networks)];
}

/**
 * Whether all addresses of a network lie in one of others, all as `allowedNetworks` returns them. IPv4 lies
 * in no IPv6 network here.
 */
export function isWithin(network: string, others: readonly string[]): boolean {
  const inner = partsOf(network);
  return others.map(partsOf).some(({ address, family, prefix }) => {
    if (family !== inner.family || prefix > inner.prefix) return false;
    const block = new BlockList();
    block.addSubnet(address, prefix, family);
    return block.check(inner.address, family);
  });
}

function partsOf(network: string) {
  const [address = '', prefix] = network.split('/');
  const isV4 = isIPv4(address);
  const family = isV4 ? ('ipv4' as const) : ('ipv6' as const);
  return { address, family, prefix: Number(prefix ?? (isV4 ? 32 : 128)) };
}

function readNetwork(text: string): string | undefined {
  const [, host = '', prefixText] = FORM.exec(text) ?? [];
  const address = readAddress(host);
  if (address === undefined) return undefined;
  const bits = isIPv4(address) ? 32 : 128;
  const skipped = bits === 32 && isIPv6(host) ? MAPPED_BITS : 0;
  const prefix = prefixText === undefined ? bits : Number(prefixText) - skipped;
  if (prefix < 0 || prefix > bits) return undefined;
  return prefix === bits ? address : `${address}/${prefix}`;
}

function readAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return undefined;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return MAPPED.exec(address)?.[1] ?? address;
}
