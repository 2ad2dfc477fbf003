import { equalInConstantTime, type Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { AuditChain } from './audit-chain.entity.ts';
import { GENESIS } from './event-hash.ts';
import { type Stored, storedRows } from './stored-row.ts';

const PURPOSE = 'audit-chain';

/** A place in the chain: a position, and the hash there (hex). */
export type ChainPlace = { position: number; hash: string };

/** The place before the oldest event that is kept, and the place of the newest one. */
export type ChainEnds = { anchor: ChainPlace; head: ChainPlace };

export const EMPTY_CHAIN: ChainEnds = {
  anchor: { position: 0, hash: GENESIS },
  head: { position: 0, hash: GENESIS },
};

export const NOT_OURS =
  'its ends were not written by this service, or were written under a master key it lacks';

/** The chain's ends are not what this service wrote: nothing may build on them. */
export class BrokenChain extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'BrokenChain';
  }
}

/** The ends in a row, or undefined if they are not authentic. */
export function readEnds(keyring: Keyring, row: Stored<AuditChain>): ChainEnds | undefined {
  const ends = {
    anchor: { position: row.anchorPosition, hash: row.anchorHash },
    head: { position: row.position, hash: row.hash },
  };
  if (!keyring.has(row.keyVersion)) return undefined;
  const expected = endsMac(keyring, ends, row.keyVersion);
  return equalInConstantTime(expected, Buffer.from(row.mac, 'hex')) ? ends : undefined;
}

/**
 * The ends as they are now, or undefined if there is no row. Throws `BrokenChain` if they are forged.
 */
export async function currentEnds(
  em: EntityManager,
  keyring: Keyring,
  lock = '',
): Promise<(ChainEnds & { keyVersion: number }) | undefined> {
  const [row] = await storedRows(em, AuditChain, `from audit_chain where id = 1 ${lock}`);
  if (!row) return undefined;
  const ends = readEnds(keyring, row);
  if (!ends) throw new BrokenChain(NOT_OURS);
  return { ...ends, keyVersion: row.keyVersion };
}

/**
 * Locks the ends for the rest of the transaction, which is going to move them. While another
 * transaction has them locked, waits for it, or returns undefined. The very first call creates the row.
 *
 * Throws `BrokenChain` if the ends are forged, or gone although there are events in the chain.
 */
export async function lockEnds(
  em: EntityManager,
  keyring: Keyring,
  ifLocked: 'wait' | 'leave',
): Promise<(ChainEnds & { keyVersion: number }) | undefined> {
  const lock = ifLocked === 'wait' ? 'for update' : 'for update skip locked';
  const ends = await currentEnds(em, keyring, lock);
  if (ends || (await currentEnds(em, keyring))) return ends;
  const [chained] = await query(
    em,
    'select 1 from audit_events where position is not null order by position limit 1',
  );
  if (chained) throw new BrokenChain('its ends are gone');
  const row = { id: 1, ...columnsOf(keyring, EMPTY_CHAIN) };
  await em.createQueryBuilder(AuditChain).insert(row).onConflict('id').ignore().execute();
  return currentEnds(em, keyring, lock);
}

/** Writes the ends, in a transaction that has locked them, under the current key. */
export async function writeEnds(
  em: EntityManager,
  keyring: Keyring,
  ends: ChainEnds,
): Promise<void> {
  await em.nativeUpdate(AuditChain, { id: 1 }, columnsOf(keyring, ends));
}

function columnsOf(keyring: Keyring, ends: ChainEnds): Omit<AuditChain, 'id'> {
  return {
    anchorPosition: ends.anchor.position,
    anchorHash: Buffer.from(ends.anchor.hash, 'hex'),
    position: ends.head.position,
    hash: Buffer.from(ends.head.hash, 'hex'),
    mac: endsMac(keyring, ends, keyring.current),
    keyVersion: keyring.current,
  };
}

function endsMac(keyring: Keyring, { anchor, head }: ChainEnds, version: number): Buffer {
  const data = JSON.stringify([anchor.position, anchor.hash, head.position, head.hash]);
  return keyring.mac(PURPOSE, data, version);
}

/** A place as text: `position:hash`. Administrators keep it outside the service. */
export function formatPlace({ position, hash }: ChainPlace): string {
  return `${position}:${hash}`;
}

export function parsePlace(text: string): ChainPlace {
  const [position, hash = ''] = text.split(':');
  return { position: Number(position), hash };
}
