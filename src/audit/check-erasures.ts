import { type EntityManager, query } from '../platform/sql.ts';
import type { StoredEvent } from './stored-event.ts';

/**
 * Returns the first of these events that lacks an address or a personal part which it was chained with,
 * although its owner's account has not been deleted: only that erases them (C13).
 *
 * The deletion counts if it stands in the chain after `anchor`, where the check of the chain proves it,
 * or is about to be chained. It is always later than what it erases, so retention never deletes it
 * first.
 */
export async function firstUnexplained(
  em: EntityManager,
  events: readonly StoredEvent[],
  anchor: number,
): Promise<StoredEvent | undefined> {
  const stripped = events.filter((event) => ownersOf(event).length > 0);
  if (stripped.length === 0) return undefined;
  const owners = new Set(stripped.flatMap(ownersOf).filter((owner) => owner !== null));
  const rows = await query<{ subject: string }>(
    em,
    `select distinct subject from audit_events
     where type = 'account.deleted' and subject = any($1) and (position is null or position > $2)`,
    [[...owners], anchor],
  );
  const deleted = new Set(rows.map(({ subject }) => subject));
  const isDeleted = (owner: string | null) => owner !== null && deleted.has(owner);
  return stripped.find((event) => !ownersOf(event).every(isDeleted));
}

/** Whose parts are gone: an address is its actor's, or else its subject's; the rest is its subject's. */
function ownersOf(event: StoredEvent): (string | null)[] {
  const { actor, subject, ipAddress, ipHash, personal, personalHash } = event;
  return [
    ...(ipAddress === null && ipHash !== null ? [actor ?? subject] : []),
    ...(personal === null && personalHash !== null ? [subject] : []),
  ];
}
