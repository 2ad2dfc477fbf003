import { timestamp } from '../platform/sql.ts';

/** An audit event as the database has it. Times are exact to the microsecond. */
export type StoredEvent = {
  id: string;
  /** RFC 3339 in UTC, with six decimals. */
  occurredAt: string;
  type: string;
  actor: string | null;
  actorType: string | null;
  apiKeyId: string | null;
  subject: string | null;
  outcome: 'success' | 'failure';
  reason: string | null;
  ipAddress: string | null;
  requestId: string;
  details: Record<string, unknown>;
  personal: string | null;
  /** Byte strings are in hex. */
  ipSalt: string | null;
  ipHash: string | null;
  personalSalt: string | null;
  personalHash: string | null;
  position: number | null;
  hash: string | null;
  seal: string | null;
};

export type StoredEventRow = Omit<StoredEvent, 'details' | 'position'> & {
  details: string;
  /** Not called `position`, which would be sorted by as a text. */
  place: string | null;
};

const hex = (column: string) => `encode(${column}, 'hex')`;

/** What to select of `audit_events` for `storedEvent` to read. */
export const EVENT_COLUMNS = `
  id, to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "occurredAt",
  type, actor, actor_type as "actorType", api_key_id as "apiKeyId", subject, outcome, reason,
  ip_address as "ipAddress", request_id as "requestId", details::text as details, personal,
  ${hex('ip_salt')} as "ipSalt", ${hex('ip_hash')} as "ipHash",
  ${hex('personal_salt')} as "personalSalt", ${hex('personal_hash')} as "personalHash",
  position::text as place, ${hex('hash')} as hash, ${hex('seal')} as seal`;

export function storedEvent({ place, details, ...same }: StoredEventRow): StoredEvent {
  const position = place === null ? null : Number(place);
  return { ...same, details: JSON.parse(details), position };
}

/** The whole seconds and the nanoseconds of an event's time. */
export function eventTime({ occurredAt }: StoredEvent): { seconds: number; nanos: number } {
  const seconds = Math.floor(timestamp(occurredAt).getTime() / 1000);
  return { seconds, nanos: Number(occurredAt.slice(-7, -1)) * 1000 };
}
