import { createHash } from 'node:crypto';

/** What can happen during a soak, and how long it lasts (ms); what ends by itself has no duration. */
export const FAULTS = {
  'database crashed': 0,
  'database frozen': 3000,
  'Redis killed': 3000,
  'Redis frozen': 3000,
  'replica killed': 0,
  'rolling restart': 0,
  'webhook target away': 5000,
} as const;

export type Fault = keyof typeof FAULTS;

/** A fault, and when it begins (ms after the start). */
export type PlannedFault = { fault: Fault; at: number; turn: number };

/** What a fault and the recovery from it take at least. */
const ROOM_MS = 10_000;
/** The longest quiet that chance puts between two of them. */
const QUIET_MS = 15_000;

/** Numbers from 0 to 1, always the same ones for a seed. */
function numbersOf(seed: number): () => number {
  let turn = 0;
  return () => {
    turn += 1;
    return createHash('sha256').update(`${seed} ${turn}`).digest().readUInt32BE() / 2 ** 32;
  };
}

/**
 * Plans which fault begins when: each kind once before any comes again, at times that the seed decides. The
 * first tenth and the last tenth of the run are quiet.
 */
export function plannedFaults(
  lastsMs: number,
  seed: number,
  faults: readonly Fault[],
): PlannedFault[] {
  const next = numbersOf(seed);
  const planned: PlannedFault[] = [];
  const room = Math.min(ROOM_MS, lastsMs / 2);
  const quiet = Math.min(QUIET_MS, lastsMs / 10);
  let left: Fault[] = [];
  for (let at = lastsMs / 10; faults.length > 0; at += room) {
    at += next() * quiet;
    if (at + room > lastsMs * 0.9) break;
    if (left.length === 0) left = [...faults];
    const [fault] = left.splice(Math.floor(next() * left.length), 1);
    if (fault !== undefined) planned.push({ fault, at, turn: planned.length });
  }
  return planned;
}
