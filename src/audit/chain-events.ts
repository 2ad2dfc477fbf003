import { randomBytes } from 'node:crypto';
import type { Keyring } from '../platform/crypto.ts';
import { type EntityManager, query } from '../platform/sql.ts';
import { lockEnds, writeEnds } from './chain-ends.ts';
import { eventHash, sealOf } from './event-hash.ts';
import { EVENT_COLUMNS, type StoredEventRow, storedEvent } from './stored-event.ts';

const BATCH = 250;
const SALT_BYTES = 16;

/**
 * Gives some of the events that are not in the chain yet their places in it, in one transaction: those
 * that become visible late, because they were committed late, simply come later. One replica at a time
 * does it; the others find nothing to do. Says whether there may be more.
 *
 * Events whose personal part is being erased at this moment are left for the next time.
 *
 * Throws `BrokenChain` rather than build on an end that is not ours.
 */
export async function chainEvents(em: EntityManager, keyring: Keyring): Promise<boolean> {
  const ends = await lockEnds(em, keyring, 'leave');
  if (!ends) return false;
  const rows = await query<StoredEventRow>(
    em,
    `select ${EVENT_COLUMNS} from audit_events where position is null
     order by id limit ${BATCH} for update skip locked`,
  );
  if (rows.length === 0) return false;
  let { head } = ends;
  const places = rows.map((row) => {
    const event = storedEvent(row);
    const ipSalt = event.ipAddress === null ? null : salt();
    const personalSalt = event.personal === null ? null : salt();
    const place = { position: head.position + 1, previousHash: head.hash };
    const hash = eventHash({ ...event, ipSalt, personalSalt }, place);
    head = { position: place.position, hash };
    return { id: event.id, ...head, seal: sealOf(keyring, hash), ipSalt, personalSalt };
  });
  await query(em, PLACE, [JSON.stringify(places), rows[0]?.id, rows.at(-1)?.id]);
  await writeEnds(em, keyring, { anchor: ends.anchor, head });
  return rows.length === BATCH;
}

const salt = () => randomBytes(SALT_BYTES).toString('hex');

/** The range is what the batch is in the index of events that wait, however many there are. */
const PLACE = `
  update audit_events e
  set position = p.position, hash = decode(p.hash, 'hex'), seal = decode(p.seal, 'hex'),
    ip_salt = decode(p."ipSalt", 'hex'), personal_salt = decode(p."personalSalt", 'hex')
  from json_to_recordset($1::json) as p
    (id uuid, position bigint, hash text, seal text, "ipSalt" text, "personalSalt" text)
  where e.id = p.id and e.position is null and e.id between $2::uuid and $3::uuid`;
