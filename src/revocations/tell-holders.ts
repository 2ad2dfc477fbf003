import { setTimeout as sleep } from 'node:timers/promises';
import { errorFields, type Log } from '../platform/log.ts';
import type { SqlDatabase } from '../platform/sql-database.ts';
import {
  type HoldersRevocation,
  type HoldersTold,
  revocationsIn,
} from './revocation.repository.ts';

const RETRY_MS = 1000;
const MAX_FAILURES = 60;

/**
 * Revokes what was issued to the holders of a role, some at a time, after the change of the role has
 * committed. Starts with the first holder, or after the last one in `told`. If the database fails, it
 * tries again for a minute.
 */
export async function tellHolders(
  { database, log, tell }: { database: SqlDatabase; log: Log; tell: () => void },
  revocation: HoldersRevocation,
  told: HoldersTold | undefined,
): Promise<void> {
  let at = told;
  for (let failures = 0; failures < MAX_FAILURES; ) {
    try {
      at = await database.transaction((em) => revocationsIn(em).recordHolders(revocation, at));
      tell();
      if (at.isLast) return;
    } catch (error) {
      failures += 1;
      log.warn({ component: 'revocations', ...errorFields(error) }, 'holders of a role not told');
      await sleep(RETRY_MS, undefined, { ref: false });
    }
  }
}
