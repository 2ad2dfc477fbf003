import { AGAIN_MS, OVERLAP_MS } from './followed-table.ts';

/**
 * How far a follower of a table has read. Every transaction below `horizon` had ended by then, and what it
 * wrote was seen, however long it took.
 */
export type TablePlace = {
  /** When the look was taken: microseconds by the database's clock. */
  atMicros: number;
  /** The oldest transaction that had not ended: a 32-bit transaction id. */
  horizon: number;
};

/** The place of a follower that has read nothing. */
export const NOWHERE: TablePlace = { atMicros: 0, horizon: 0 };

/** The columns of a look's own place, as `placeOf` reads them. */
export const PLACE = `(extract(epoch from statement_timestamp()) * 1000000)::bigint::text as "lookedAt",
  mod(pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 4294967296)::text as horizon`;

export function placeOf(row: { lookedAt: string; horizon: string } | undefined): TablePlace {
  return { atMicros: Number(row?.lookedAt), horizon: Number(row?.horizon) };
}

/**
 * The condition for rows that the last look may not have seen, for `placeParameters` as `$1` to `$3`:
 * those stamped lately, and those of transactions that had not ended. Transaction ids wrap around.
 */
export function unseen(row: string, stamp: string): string {
  return `${row}.${stamp} > to_timestamp($1::bigint / 1000000.0)
    and (${row}.${stamp} > to_timestamp($2::bigint / 1000000.0)
      or ((${row}.xmin::text::bigint - $3::bigint) & 4294967295) < 2147483648)`;
}

export function placeParameters({ atMicros, horizon }: TablePlace): number[] {
  const back = (ms: number) => Math.max(Math.floor(atMicros - ms * 1000), 0);
  return [back(OVERLAP_MS), back(AGAIN_MS), horizon];
}
