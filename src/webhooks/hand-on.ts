import { type StoredEvent, storedEvents } from '../audit/stored-event.ts';
import { type EntityManager, timestamp } from '../platform/sql.ts';
import { subscribedIn, subscribes } from './event-types.ts';
import { type Subscriber, webhooksIn } from './webhook.repository.ts';
import { webhookDeliveriesIn } from './webhook-delivery.repository.ts';
import { webhookFanOutIn } from './webhook-fan-out.repository.ts';
import { webhookMessagesIn } from './webhook-message.repository.ts';
import { messageOf } from './webhook-message.ts';
import { webhookReplaysIn } from './webhook-replay.repository.ts';

/** How many events are searched in one statement, and how many deliveries one transaction makes. */
const WINDOW = 5000;
const BATCH = 2000;
/**
 * A webhook may be told of what happened this long (ms) before it came to be: the clocks of replicas
 * differ by some milliseconds, and what happens afterwards must never seem to be older.
 */
const CLOCKS_MS = 1000;

/**
 * How far the chain has been handed on, whether that has made deliveries, and whether events are to be
 * sent again.
 */
export type HandedOn = { position: number; isTold: boolean; mayReplay: boolean };

/**
 * Hands the next events of the chain, up to a position, to the webhooks that subscribe to them: the
 * transaction that makes their deliveries also moves the position, so that each event is handed on once,
 * however many replicas do it at the same time. Events have their positions in the order of their
 * commits, so that none comes late. Returns undefined while another replica is at it.
 */
export async function handOn(
  em: EntityManager,
  until: number,
  now: Date,
): Promise<HandedOn | undefined> {
  const fanOut = webhookFanOutIn(em);
  const position = await fanOut.lockPosition();
  if (position === undefined) return undefined;
  if (position >= until) return { position, ...NOTHING };
  // The end was known before: events after it may be for webhooks that are not seen here.
  const subscribers = await webhooksIn(em).subscribers();
  if (subscribers.length === 0) {
    await fanOut.moveTo(until);
    return { position: until, ...NOTHING };
  }
  const last = Math.min(until, position + WINDOW);
  const limit = Math.ceil(BATCH / subscribers.length);
  const events = await storedEvents(
    em,
    `from audit_events where position > $1 and position <= $2 and ${subscribedIn('$3::text[]')}
     order by position limit ${limit}`,
    [position, last, [...new Set(subscribers.flatMap(({ eventTypes }) => eventTypes))]],
  );
  const isTold = await tell(em, events, subscribers, now);
  const reached = events.length < limit ? last : (events.at(-1)?.position ?? last);
  await fanOut.moveTo(reached);
  return { position: reached, isTold, mayReplay: await webhookReplaysIn(em).areAny() };
}

const NOTHING = { isTold: false, mayReplay: false };

async function tell(
  em: EntityManager,
  events: readonly StoredEvent[],
  subscribers: readonly Subscriber[],
  now: Date,
): Promise<boolean> {
  const pairs = events.flatMap(({ id: messageId, type, occurredAt }) => {
    const at = timestamp(occurredAt).getTime() + CLOCKS_MS;
    return subscribers
      .filter(
        ({ eventTypes, createdAt }) => subscribes(eventTypes, type) && createdAt.getTime() <= at,
      )
      .map(({ id: webhookId }) => ({ webhookId, messageId }));
  });
  if (pairs.length === 0) return false;
  const told = new Set(pairs.map(({ messageId }) => messageId));
  await webhookMessagesIn(em).insertMissing(
    events.filter(({ id }) => told.has(id)).map(messageOf),
    now,
  );
  await webhookDeliveriesIn(em).insertMissing(pairs, now);
  return true;
}
