import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { query } from '../platform/sql.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import {
  BrokenChain,
  type ChainEnds,
  type ChainPlace,
  currentEnds,
  EMPTY_CHAIN,
  formatPlace,
} from './chain-ends.ts';
import { ChainCheck, type ChainFlaw, FlawFound } from './check-chain.ts';
import { hashAt } from './read-chain.ts';

const PROGRESS_MS = 1000;
/** Verifications at once on one replica: each keeps a core busy. */
const MAX_AT_ONCE = 2;
const RETRY_AFTER_MS = 10_000;

export type VerifyAuditChainDeps = {
  database: SqlDatabase;
  keyring: Keyring;
  /** The verifications that this replica is making. */
  verifying: Set<symbol>;
};

export type VerifyAuditChain = {
  /** What an earlier verification ended at, where one is known. */
  known: ChainPlace | undefined;
  onlyAfterKnown: boolean;
};

export type AuditChainProgress = {
  type: 'progress';
  checked: number;
  position: number;
  headPosition: number;
};

export type AuditChainResult = {
  type: 'result';
  /** Undefined: everything is as it was written. */
  flaw: ChainFlaw | undefined;
  checked: number;
  oldestPosition: number;
  /** How far it has been found right: `position:hash`. */
  head: string;
};

/**
 * Checks every event of the chain up to where it ends now (E01): says how far it has come, and at the end
 * what it has found: the first flaw, or none. It holds a page of events at a time, however many there are.
 *
 * Throws `NOT_FOUND` where what is known is from before what is kept, and `OVERLOADED` where the replica
 * is at it for others.
 */
export async function* verifyAuditChain(
  deps: VerifyAuditChainDeps,
  request: VerifyAuditChain,
  signal: AbortSignal,
): AsyncGenerator<AuditChainProgress | AuditChainResult> {
  const { verifying } = deps;
  if (verifying.size >= MAX_AT_ONCE) throw overloaded();
  const turn = Symbol();
  verifying.add(turn);
  let check: ChainCheck | undefined;
  try {
    const ends = await endsToCheck(deps);
    check = new ChainCheck(deps, ends, await start(deps, ends, request));
    if (request.known) check.expect(request.known);
    yield progress(check);
    for (let toldAt = performance.now(); !signal.aborted && (await check.next()); ) {
      if (performance.now() - toldAt < PROGRESS_MS) continue;
      toldAt = performance.now();
      yield progress(check);
    }
    signal.throwIfAborted();
    const beyond = await firstBeyond(deps.database);
    if (beyond !== undefined) throw new FlawFound({ kind: 'event_inserted', position: beyond });
    yield result(check, undefined);
  } catch (error) {
    if (!(error instanceof FlawFound)) throw error;
    yield result(check, error.flaw);
  } finally {
    verifying.delete(turn);
  }
}

/** The chain's ends as they are now. Throws `FlawFound` where they are not ours, or gone. */
async function endsToCheck({ database, keyring }: VerifyAuditChainDeps): Promise<ChainEnds> {
  const forged = new FlawFound({ kind: 'head_forged', position: 0 });
  const ends = await database
    .read((em) => currentEnds(em, keyring))
    .catch((error) => Promise.reject(error instanceof BrokenChain ? forged : error));
  if (!ends && (await firstBeyond(database)) !== undefined) throw forged;
  return ends ?? EMPTY_CHAIN;
}

/** The position of an event beyond the end that the chain has now, where there is one. */
async function firstBeyond(database: SqlDatabase): Promise<number | undefined> {
  const [beyond] = await database.read((em) =>
    query<{ first: string }>(
      em,
      `select e.position::text as first from audit_events e left join audit_chain c on c.id = 1
       where e.position > coalesce(c.position, 0) order by e.position limit 1`,
    ),
  );
  return beyond && Number(beyond.first);
}

/** After which place to begin. */
async function start(
  { database }: VerifyAuditChainDeps,
  ends: ChainEnds,
  { known, onlyAfterKnown }: VerifyAuditChain,
): Promise<ChainPlace> {
  if (!known) return ends.anchor;
  if (known.position < ends.anchor.position) throw forgotten();
  const hash = await database.read((em) => hashAt(em, ends, known.position));
  if (hash !== known.hash) {
    throw new FlawFound({ kind: 'known_head_missing', position: known.position });
  }
  return onlyAfterKnown ? known : ends.anchor;
}

function progress({ checked, place, headPosition }: ChainCheck): AuditChainProgress {
  return { type: 'progress', checked, position: place.position, headPosition };
}

function result(check: ChainCheck | undefined, flaw: ChainFlaw | undefined): AuditChainResult {
  return {
    type: 'result',
    flaw,
    checked: check?.checked ?? 0,
    oldestPosition: check?.oldestPosition ?? 0,
    head: formatPlace(check?.place ?? EMPTY_CHAIN.head),
  };
}

function forgotten(): Failure {
  const message = 'the known head is older than the events that are kept';
  return new Failure('not_found', 'NOT_FOUND', message);
}

function overloaded(): Failure {
  const message = 'this replica is verifying the chain for others; try again later';
  return new Failure('exhausted', 'OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS });
}
