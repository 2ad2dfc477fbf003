import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An address, or the addresses that share its first bits. */
type Network = { bits: 32 | 128; value: bigint; prefix: number };

/** Networks whose IPv4 addresses lead into this machine or network, or nowhere (IANA, RFC 6890). */
const CLOSED_IPV4 = networks([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '168.63.129.16',
]);

/** Outside it there are no hosts of the Internet; within it, these networks are no such hosts. */
const GLOBAL_IPV6 = networks(['2000::/3']);
const CLOSED_IPV6 = networks([
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '2620:4f:8000::/48',
  '3fff::/20',
]);

/** Where clouds hand credentials to whoever asks from within. */
const METADATA = networks([
  '100.100.100.200',
  '168.63.129.16',
  '169.254.42.42',
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '192.0.0.192',
  'fd00:42::42',
  'fd00:ec2::23',
  'fd00:ec2::254',
  'fd20:ce::254',
]);

/** IPv6 networks whose addresses are IPv4 in another form, and how many bits follow the IPv4 address. */
const CARRIERS = [
  ['::/96', 0],
  ['::ffff:0:0/96', 0],
  ['::ffff:0:0:0/96', 0],
  ['64:ff9b::/96', 0],
  ['64:ff9b:1::/48', 0],
  ['2001::/32', 0],
  ['2002::/16', 80],
] as const;
const CARRYING = CARRIERS.map(([text, after]) => ({
  network: network(text),
  after: BigInt(after),
}));
const TEREDO = network('2001::/32');
/** `::` and `::1` carry nothing: they are what they are. */
const LOOPBACK_IPV6 = network('::/127');
const LOW_32 = 0xffff_ffffn;

/**
 * The addresses that webhooks may be sent to: those of hosts of the Internet, and those in `allowed`
 * (addresses and CIDRs). An address where a cloud hands out credentials is opened only by its own entry,
 * and one that carries an IPv4 address only if that may be sent to as well (E04).
 */
export class TargetAddresses {
  readonly #allowed: readonly Network[];

  constructor(allowed: readonly string[]) {
    this.#allowed = networks(allowed);
  }

  /** Returns whether webhooks may be sent to an address. Anything else than an address may not. */
  includes(text: string): boolean {
    if (!isIPv4(text) && !(isIPv6(text) && !text.includes('%'))) return false;
    return this.#includes(network(text));
  }

  #includes(address: Network): boolean {
    const carried = carriedBy(address);
    if (carried && !this.#includes(carried)) return false;
    const opening = this.#allowed.filter((allowed) => contains(allowed, address));
    if (isIn(METADATA, address)) return opening.some(({ bits, prefix }) => prefix === bits);
    return opening.length > 0 || isGlobal(address);
  }
}

/** Returns whether two texts are the same address. */
export function isSameAddress(one: string, other: string): boolean {
  if (isIPv4(one) !== isIPv4(other)) return false;
  return network(one).value === network(other).value;
}

function isGlobal(address: Network): boolean {
  if (address.bits === 32) return !isIn(CLOSED_IPV4, address);
  return isIn(GLOBAL_IPV6, address) && !isIn(CLOSED_IPV6, address);
}

function carriedBy(address: Network): Network | undefined {
  if (address.bits === 32 || contains(LOOPBACK_IPV6, address)) return undefined;
  const carrier = CARRYING.find(({ network }) => contains(network, address));
  if (!carrier) return undefined;
  const shifted = (address.value >> carrier.after) & LOW_32;
  // Teredo stores it inverted (RFC 4380, section 4).
  const value = contains(TEREDO, address) ? shifted ^ LOW_32 : shifted;
  return { bits: 32, value, prefix: 32 };
}

function isIn(list: readonly Network[], address: Network): boolean {
  return list.some((network) => contains(network, address));
}

function contains(network: Network, { bits, value }: Network): boolean {
  const dropped = BigInt(network.bits - network.prefix);
  return bits === network.bits && value >> dropped === network.value >> dropped;
}

function networks(texts: readonly string[]): Network[] {
  return texts.map(network);
}

function network(text: string): Network {
  const [address = '', prefix] = text.split('/');
  const bytes = ipaddr.parse(address).toByteArray();
  const bits = bytes.length === 4 ? 32 : 128;
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return { bits, value, prefix: prefix === undefined ? bits : Number(prefix) };
}
