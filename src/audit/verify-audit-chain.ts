import type { Caller } from '../platform/caller.ts';
import type { Keyring } from '../platform/crypto.ts';
import { Failure } from '../platform/failure.ts';
import { query } from '../platform/sql.ts';
import type { Database } from '../unit-of-work/database.ts';
import {
  BrokenChain,
  type ChainEnds,
  type ChainPlace,
  currentEnds,
  EMPTY_CHAIN,
  formatPlace,
} from './chain-ends.ts';
import { type ChainFlaw, FlawFound } from './chain-flaw.ts';
import { ChainCheck, type Read } from './check-chain.ts';
import { hashAt } from './read-chain.ts';

const PROGRESS_MS = 1000;
/** How many verifications run at once on one replica: each keeps a core busy. */
const MAX_AT_ONCE = 2;

type Needs = {
  database: Database;
  keyring: Keyring;
  /** One entry for each verification that is running on this replica. */
  verifying: Set<symbol>;
};

export type VerifyAuditChain = {
  /** The head that an earlier verification returned, if the caller has one. */
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
  /** Undefined if every event is as it was written. */
  flaw: ChainFlaw | undefined;
  checked: number;
  oldestPosition: number;
  /** The last place that was found right: `position:hash`. */
  head: string;
};

/**
 * Checks every event of the chain up to its present end (E01). Yields its progress, and finally its
 * result: the first flaw, or none. It holds one page of events at a time.
 *
 * Throws `NOT_FOUND` if the known head is older than the events that are kept, and `OVERLOADED` if this
 * replica is running as many verifications as it accepts.
 */
export async function* verifyAuditChain(
  needs: Needs,
  caller: Caller,
  request: VerifyAuditChain,
): AsyncGenerator<AuditChainProgress | AuditChainResult> {
  const { database, keyring, verifying } = needs;
  if (verifying.size >= MAX_AT_ONCE) throw overloaded();
  const turn = Symbol();
  verifying.add(turn);
  let check: ChainCheck | undefined;
  try {
    const read: Read = (work) => database.read(caller, work);
    const ends = await endsToCheck(read, keyring);
    check = new ChainCheck(read, keyring, ends, await start(read, ends, request));
    if (request.known) check.expect(request.known);
    yield progress(check);
    for (let reportedAt = performance.now(); !caller.signal.aborted && (await check.next()); ) {
      if (performance.now() - reportedAt < PROGRESS_MS) continue;
      reportedAt = performance.now();
      yield progress(check);
    }
    caller.signal.throwIfAborted();
    const position = await firstBeyond(read);
    if (position !== undefined) throw new FlawFound({ kind: 'event_inserted', position });
    yield result(check, undefined);
  } catch (error) {
    if (!(error instanceof FlawFound)) throw error;
    yield result(check, error.flaw);
  } finally {
    verifying.delete(turn);
  }
}

/** Returns the chain's ends. Throws `FlawFound` if they are gone or not written by this service. */
async function endsToCheck(read: Read, keyring: Keyring): Promise<ChainEnds> {
  const forged = new FlawFound({ kind: 'head_forged', position: 0 });
  const ends = await read((em) => currentEnds(em, keyring)).catch((error) => {
    throw error instanceof BrokenChain ? forged : error;
  });
  if (!ends && (await firstBeyond(read)) !== undefined) throw forged;
  return ends ?? EMPTY_CHAIN;
}

/** Returns the position of the first event beyond the chain's present end, if there is one. */
async function firstBeyond(read: Read): Promise<number | undefined> {
  const [beyond] = await read((em) =>
    query<{ first: string }>(
      em,
      `select e.position::text as first from audit_events e left join audit_chain c on c.id = 1
       where e.position > coalesce(c.position, 0) order by e.position limit 1`,
    ),
  );
  return beyond && Number(beyond.first);
}

/** The place after which the check begins. */
async function start(
  read: Read,
  ends: ChainEnds,
  { known, onlyAfterKnown }: VerifyAuditChain,
): Promise<ChainPlace> {
  if (!known) return ends.anchor;
  const { position } = known;
  if (position < ends.anchor.position) throw headTooOld();
  const hash = await read((em) => hashAt(em, ends, position));
  if (hash !== known.hash) throw new FlawFound({ kind: 'known_head_missing', position });
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

function headTooOld(): Failure {
  const message = 'known_head is older than the events that are kept; use a later one, or none';
  return new Failure('not_found', 'NOT_FOUND', message);
}

function overloaded(): Failure {
  const message = 'this replica is verifying the chain for others; try again later';
  return new Failure('exhausted', 'OVERLOADED', message, { retryAfterMs: 10_000 });
}
