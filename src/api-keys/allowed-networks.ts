import { isIPv4, isIPv6 } from 'node:net';
import { Failure } from '../platform/failure.ts';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const MAPPED_BITS = 96;

/**
 * Addresses and CIDRs in the one spelling that is kept: IPv4 as itself where it came mapped into IPv6
 * (RFC 4291, section 2.5.5.2), hexadecimal digits in lower case, an address without its full prefix.
 *
 * Throws `INVALID_REQUEST` for anything else, naming the field `path`.
 */
export function allowedNetworks(texts: readonly string[], path: string): string[] {
  const networks = texts.map((text, index) => {
    const network = readNetwork(text);
    if (network !== undefined) return network;
    const description = 'is not an address or CIDR like 192.0.2.0/24 or 2001:db8::/32';
    throw new Failure('invalid', 'INVALID_REQUEST', `the network ${description}`, {
      fields: [{ path: `${path}[${index}]`, description }],
    });
  });
  return [...new Set(networks)];
}

function readNetwork(text: string): string | undefined {
  const [, host = '', prefixText] = /^([\da-fA-F:.]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const mapped = MAPPED.exec(host)?.[1];
  const address = mapped ?? host.toLowerCase();
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0;
  if (bits === 0) return undefined;
  const given = prefixText === undefined ? undefined : Number(prefixText);
  const prefix = given === undefined ? bits : given - (mapped === undefined ? 0 : MAPPED_BITS);
  if (prefix < 0 || prefix > bits) return undefined;
  return prefix === bits ? address : `${address}/${prefix}`;
}
