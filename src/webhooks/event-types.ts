import { AUDIT_EVENT_TYPES } from '../audit/audit-entry.ts';
import { invalidField } from '../platform/invalid-field.ts';
import { EVENT_DESCRIPTIONS } from './event-descriptions.ts';

/** Subscribes to every event. */
const ALL = '*';

export type EventType = { name: string; description: string };

/** The types of events that this version writes, sorted by name. */
export const EVENT_TYPES: readonly EventType[] = [...AUDIT_EVENT_TYPES].sort().map((name) => {
  return { name, description: EVENT_DESCRIPTIONS[name] };
});

/** The same as the page docs/event-types.md. */
export function eventTypesPage(): string {
  const rows = EVENT_TYPES.map(({ name, description }) => `| \`${name}\` | ${description} |\n`);
  return `# Event types

What a [webhook](webhooks.md) can subscribe to: a name, a group such as \`session.*\`, or \`*\`. [The audit trail](audit.md#what-is-recorded) says which \`details\` each has.

| type | what has happened |
|---|---|
${rows.join('')}`;
}

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

const KNOWN: ReadonlySet<string> = new Set([
  ALL,
  ...EVENT_TYPES.flatMap(({ name }) => [name, groupOf(name)]),
]);
