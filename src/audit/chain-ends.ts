import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { GENESIS } from './event-hash.ts';

const PURPOSE = 'audit-chain';

/** A place in the chain: a position, and the hash there in hex. */
export type ChainPlace = { position: number; hash: string };

/** Where the chain that is kept begins, exclusively, and where it ends. */
export type ChainEnds = { anchor: ChainPlace; head: ChainPlace };

export const EMPTY_CHAIN: ChainEnds = {
  anchor: { position: 0, hash: GENESIS },
  head: { position: 0, hash: GENESIS },
};

export const NOT_OURS = 'its ends were not written by this service, or under a master key it lacks';

/** The chain's ends are not what this service wrote, so that nothing may be built on them. */
export class BrokenChain extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'BrokenChain';
  }
}

export type ChainRow = {
  anchorPosition: string;
  anchorHash: string;
  position: string;
  hash: string;
  mac: string;
  keyVersion: number;
};

export const CHAIN_COLUMNS = `
  anchor_position::text as "anchorPosition", encode(anchor_hash, 'hex') as "anchorHash",
  position::text as position, encode(hash, 'hex') as hash, encode(mac, 'hex') as mac,
  key_version as "keyVersion"`;

/** The ends in a row, or undefined where they are not authentic. */
export function readEnds(keyring: Keyring, row: ChainRow): ChainEnds | undefined {
  const ends = {
    anchor: { position: Number(row.anchorPosition), hash: row.anchorHash },
    head: { position: Number(row.position), hash: row.hash },
  };
  if (!keyring.has(row.keyVersion)) return undefined;
  const expected = endsMac(keyring, ends, row.keyVersion);
  return equalInConstantTime(expected, Buffer.from(row.mac, 'hex')) ? ends : undefined;
}

/** The ends as they are now. Undefined: there is no row. Throws `BrokenChain`. */
export async function currentEnds(
  em: EntityManager,
  keyring: Keyring,
  lock = '',
): Promise<(ChainEnds & { keyVersion: number }) | undefined> {
  const [row] = await query<ChainRow>(
    em,
    `select ${CHAIN_COLUMNS} from audit_chain where id = 1 ${lock}`,
  );
  if (!row) return undefined;
  const ends = readEnds(keyring, row);
  if (!ends) throw new BrokenChain(NOT_OURS);
  return { ...ends, keyVersion: row.keyVersion };
}

/**
 * Locks the ends for the rest of the transaction, for whoever moves them. Where somebody else is about
 * it, waits for them or gives undefined. The first of all makes the row. Throws `BrokenChain`.
 */
export async function lockEnds(
  em: EntityManager,
  keyring: Keyring,
  whereLocked: 'wait' | 'leave',
): Promise<(ChainEnds & { keyVersion: number }) | undefined> {
  const lock = whereLocked === 'wait' ? 'for update' : 'for update skip locked';
  const ends = await currentEnds(em, keyring, lock);
  if (ends || (await currentEnds(em, keyring))) return ends;
  const [chained] = await query(
    em,
    'select 1 from audit_events where position is not null order by position limit 1',
  );
  if (chained) throw new BrokenChain('its ends are gone');
  const { hash } = EMPTY_CHAIN.head;
  const parameters = [hash, endsMac(keyring, EMPTY_CHAIN, keyring.current).toString('hex')];
  await query(
    em,
    `insert into audit_chain (id, anchor_position, anchor_hash, position, hash, mac, key_version)
     values (1, 0, decode($1, 'hex'), 0, decode($1, 'hex'), decode($2, 'hex'), $3)
     on conflict do nothing`,
    [...parameters, keyring.current],
  );
  return currentEnds(em, keyring, lock);
}

/** Writes the ends, in a transaction that has locked them, under the current key. */
export async function writeEnds(
  em: EntityManager,
  keyring: Keyring,
  ends: ChainEnds,
): Promise<void> {
  await query(
    em,
    `update audit_chain set anchor_position = $1, anchor_hash = decode($2, 'hex'), position = $3,
       hash = decode($4, 'hex'), mac = decode($5, 'hex'), key_version = $6 where id = 1`,
    [
      ends.anchor.position,
      ends.anchor.hash,
      ends.head.position,
      ends.head.hash,
      endsMac(keyring, ends, keyring.current).toString('hex'),
      keyring.current,
    ],
  );
}

function endsMac(keyring: Keyring, { anchor, head }: ChainEnds, version: number): Buffer {
  const data = JSON.stringify([anchor.position, anchor.hash, head.position, head.hash]);
  return keyring.mac(PURPOSE, data, version);
}

/** A place as people keep it outside: `position:hash`. */
export function formatPlace({ position, hash }: ChainPlace): string {
  return `${position}:${hash}`;
}

export function parsePlace(text: string): ChainPlace {
  const [position, hash = ''] = text.split(':');
  return { position: Number(position), hash };
}
