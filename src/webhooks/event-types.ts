import { AUDIT_EVENT_TYPES } from '../audit/audit-entry.ts';
import { invalidField } from '../platform/invalid-field.ts';

/** Subscribes to every event. */
const ALL = '*';

/** The types of events that this version writes, sorted. */
export const EVENT_TYPES: readonly string[] = [...AUDIT_EVENT_TYPES].sort();

/** Returns whether a webhook that subscribes to these gets events of this type. */
export function subscribes(eventTypes: readonly string[], type: string): boolean {
  return [ALL, type, groupOf(type)].some((name) => eventTypes.includes(name));
}

/** The condition of the same in SQL: `list` is an array of what is subscribed to. */
export function subscribedIn(list: string): string {
  return `(${list} && array['${ALL}', type, split_part(type, '.', 1) || '.*'])`;
}

/**
 * Returns what to store of a subscription: sorted, each name once. Throws `INVALID_REQUEST` for none, and
 * for names that stand for no type: a mistyped one would be silent for ever.
 */
export function checkEventTypes(eventTypes: readonly string[], path: string): string[] {
  if (eventTypes.length === 0) throw invalidField(path, 'names no type of event');
  const unknown = eventTypes.filter((name) => !KNOWN.has(name));
  if (unknown.length > 0) {
    const description = `names types of events that do not exist: ${unknown.join(', ')}`;
    throw invalidField(path, description);
  }
  return [...new Set(eventTypes)].sort();
}

function groupOf(type: string): string {
  return `${type.split('.')[0]}.*`;
}

const KNOWN: ReadonlySet<string> = new Set([ALL, ...EVENT_TYPES, ...EVENT_TYPES.map(groupOf)]);
