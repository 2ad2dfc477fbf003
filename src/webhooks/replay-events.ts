import { Conditions } from '../audit/audit-filters.ts';
import { storedEvents } from '../audit/stored-event.ts';
import type { EntityManager } from '../platform/sql.ts';
import { subscribedIn } from './event-types.ts';
import { webhookDeliveriesIn } from './webhook-delivery.repository.ts';
import { webhookMessagesIn } from './webhook-message.repository.ts';
import { messageOf } from './webhook-message.ts';
import { webhookReplaysIn } from './webhook-replay.repository.ts';

const BATCH = 250;

/**
 * Sends a batch of the oldest range that is to be sent again, by the trail: what the webhook was not told
 * of at the time is made now. Returns whether there may be more; false also while others are at it.
 */
export async function replayEvents(em: EntityManager, now: Date): Promise<boolean> {
  const replays = webhookReplaysIn(em);
  const replay = await replays.lockNext();
  if (!replay) return false;
  const { id, webhookId, eventTypes, startsAt, endsAt, afterEvent } = replay;
  const conditions = new Conditions([eventTypes])
    .addFilters({ ...EVERYTHING, startTime: startsAt, endTime: endsAt })
    .add('id > ?::uuid', afterEvent);
  const events = await storedEvents(
    em,
    `from audit_events where ${conditions} and ${subscribedIn('$1::text[]')}
     and position <= (select position from webhook_fan_out) order by id limit ${BATCH}`,
    conditions.parameters,
  );
  const last = events.at(-1);
  if (last) {
    await webhookMessagesIn(em).insertMissing(events.map(messageOf), now);
    const pairs = events.map(({ id: messageId }) => ({ webhookId, messageId }));
    await webhookDeliveriesIn(em).sendAgain(pairs, now);
  }
  if (last && events.length === BATCH) await replays.moveTo(id, last.id);
  else await replays.finish(id);
  return true;
}

const EVERYTHING = { actor: undefined, subject: undefined, types: [], outcome: undefined };
