import { unavailable } from '../platform/failure.ts';
import type { Transaction } from '../unit-of-work/transaction.ts';
import { BatchWriter } from './batch-writer.ts';
import {
  faultOf,
  type ImportSettings,
  type Incoming,
  type NumberedRow,
  type RowResult,
} from './import-row.ts';

/** How often others may take a row's address or id at the same moment before the import gives up. */
const ATTEMPTS = 3;

/**
 * Writes a batch of rows that name different accounts, with an audit event for each account. Returns
 * what became of each row, in their order.
 */
export async function importBatch(
  tx: Transaction,
  batch: readonly Incoming[],
  settings: ImportSettings,
): Promise<RowResult[]> {
  const results = new Map<number, RowResult>();
  let open: NumberedRow[] = [];
  for (const incoming of batch) {
    const { place } = incoming;
    const fault = 'fault' in incoming ? incoming.fault : faultOf(incoming.row, tx.now);
    if (fault) results.set(place, { place, outcome: 'refused', fault });
    else if ('row' in incoming) open.push(incoming);
  }
  const writer = new BatchWriter(tx, settings);
  for (let attempt = 1; open.length > 0; attempt += 1) {
    if (attempt > ATTEMPTS) throw unavailable('the database');
    open = await writer.attempt(open, results);
  }
  const ordered = batch.flatMap(({ place }) => results.get(place) ?? []);
  if (!settings.dryRun) await tx.auditAll(writer.events(countsOf(ordered)));
  return ordered;
}

export type Counts = Record<RowResult['outcome'], number>;

/** How many rows had each outcome. */
export function countsOf(results: readonly RowResult[]): Counts {
  const counts: Counts = { created: 0, updated: 0, unchanged: 0, refused: 0 };
  for (const { outcome } of results) counts[outcome] += 1;
  return counts;
}
