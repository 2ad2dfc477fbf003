import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

/** More than clocks that are set by NTP differ. */
const TOLERATED_MS = 1000;

export const CLOCK = {
  'clock.ok': { state: 'ok', says: "the database's clock and this machine's differ by {ms} ms" },
  'clock.off': {
    state: 'warning',
    says: "the database's clock is {seconds} s {side} this machine's",
    todo: "set both by NTP: times of record are the database's, and verifiers on other machines judge tokens by theirs",
  },
} as const satisfies Sentences;

const say = findings(CLOCK);

/** How far the clock of the database, by which everything is recorded, is from this machine's. */
export async function checkClock(
  database: Database,
  now: () => number = Date.now,
): Promise<Finding[]> {
  // The connection, and a transaction, take their time before the clock is read.
  await database.ask('select 1');
  const before = now();
  const [row] = await database.ask<{ ms: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
  );
  const after = now();
  const theirs = row?.ms ?? 0;
  const offset = theirs < before ? theirs - before : Math.max(theirs - after, 0);
  const ms = Math.round(Math.abs(offset));
  if (ms <= TOLERATED_MS) return [say('clock.ok', { ms })];
  const side = offset > 0 ? 'ahead of' : 'behind';
  return [say('clock.off', { seconds: (ms / 1000).toFixed(1), side })];
}
