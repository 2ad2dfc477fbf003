import { randomBytes } from 'node:crypto';
import type { Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { lockEnds, writeEnds } from './chain-ends.ts';
import { eventHash, sealOf } from './event-hash.ts';
import { type StoredEvent, storedEvents } from './stored-event.ts';

const BATCH = 250;
const SALT_BYTES = 16;

/** What was appended to the chain, and whether more may be waiting. */
type Chained = { events: readonly StoredEvent[]; mayBeMore: boolean };

const NOTHING: Chained = { events: [], mayBeMore: false };

/**
 * Appends a batch of events to the chain, in one transaction; events that were committed late simply
 * come later. One replica at a time does this, and the others find nothing to do. Returns what it has
 * appended.
 *
 * Events whose personal part is being erased at this moment are left for the next time.
 *
 * Throws `BrokenChain` if the chain's ends were not written by this service: nothing may build on them.
 */
export async function chainEvents(em: EntityManager, keyring: Keyring): Promise<Chained> {
  const ends = await lockEnds(em, keyring, 'leave');
  if (!ends) return NOTHING;
  const events = await storedEvents(
    em,
    `from audit_events where position is null order by id limit ${BATCH} for update skip locked`,
  );
  if (events.length === 0) return NOTHING;
  let { head } = ends;
  const places = events.map((event) => {
    const ipSalt = event.ipAddress === null ? null : salt();
    const personalSalt = event.personal === null ? null : salt();
    const place = { position: head.position + 1, previousHash: head.hash };
    const hash = eventHash({ ...event, ipSalt, personalSalt }, place);
    head = { position: place.position, hash };
    return { id: event.id, ...head, seal: sealOf(keyring, hash), ipSalt, personalSalt };
  });
  await query(em, PLACE, [JSON.stringify(places), events[0]?.id, events.at(-1)?.id]);
  await writeEnds(em, keyring, { anchor: ends.anchor, head });
  return { events, mayBeMore: events.length === BATCH };
}

const salt = () => randomBytes(SALT_BYTES).toString('hex');

/** The range of ids keeps the update to the batch's part of the index, however many events wait. */
const PLACE = `
  update audit_events e
  set position = p.position, hash = decode(p.hash, 'hex'), seal = decode(p.seal, 'hex'),
    ip_salt = decode(p."ipSalt", 'hex'), personal_salt = decode(p."personalSalt", 'hex')
  from json_to_recordset($1::json) as p
    (id uuid, position bigint, hash text, seal text, "ipSalt" text, "personalSalt" text)
  where e.id = p.id and e.position is null and e.id between $2::uuid and $3::uuid`;
