import { type EntityManager, query } from '../platform/sql.ts';
import type { AuditEventRow } from './audit-event.repository.ts';

const BATCH = 1000;
const FIRST = '00000000-0000-0000-0000-000000000000';

type Progress = { actorAfter: string; subjectAfter: string };

/**
 * Erases what the trail holds about a person beyond their account's id (C13), in the transaction that
 * deletes the account: addresses, and the personal parts of changes. Salted hashes stay in their place,
 * which keeps the chain intact. The background looks again after the commit, for events that were written
 * meanwhile, and for the rest if the account has thousands.
 */
export async function erasePersonalData(
  em: EntityManager,
  accountId: string,
  now: Date,
): Promise<void> {
  const none = { actorAfter: FIRST, subjectAfter: FIRST };
  const { isDone, ...progress } = await eraseSome(em, accountId, none);
  const { actorAfter, subjectAfter } = isDone ? none : progress;
  await query(
    em,
    `insert into audit_erasures (account_id, requested_at, actor_after, subject_after)
     values ($1, $2, $3, $4) on conflict do nothing`,
    [accountId, now, actorAfter, subjectAfter],
  );
}

/** The same for an event that is not written yet. */
export function withoutPersonOf(event: AuditEventRow, gone: ReadonlySet<string>): AuditEventRow {
  const isGone = (id: string | null | undefined) => gone.has(id ?? '');
  return {
    ...event,
    ipAddress: isGone(event.actor ?? event.subject) ? null : event.ipAddress,
    personal: isGone(event.subject) ? null : event.personal,
  };
}

/** Erases another batch of an unfinished erasure. Returns whether there may be more to erase. */
export async function continueErasure(em: EntityManager): Promise<boolean> {
  const [erasure] = await query<Progress & { accountId: string }>(
    em,
    `select account_id as "accountId", actor_after as "actorAfter", subject_after as "subjectAfter"
     from audit_erasures order by requested_at limit 1 for update skip locked`,
  );
  if (!erasure) return false;
  const { accountId } = erasure;
  const { isDone, actorAfter, subjectAfter } = await eraseSome(em, accountId, erasure);
  if (isDone) await query(em, 'delete from audit_erasures where account_id = $1', [accountId]);
  else {
    await query(
      em,
      'update audit_erasures set actor_after = $2, subject_after = $3 where account_id = $1',
      [accountId, actorAfter, subjectAfter],
    );
  }
  return true;
}

async function eraseSome(
  em: EntityManager,
  accountId: string,
  { actorAfter, subjectAfter }: Progress,
): Promise<Progress & { isDone: boolean }> {
  const byAccount = await query<{ id: string }>(em, erase('actor'), [accountId, actorAfter]);
  const aboutAccount = await query<{ id: string }>(em, erase('subject'), [accountId, subjectAfter]);
  return {
    actorAfter: newest(byAccount, actorAfter),
    subjectAfter: newest(aboutAccount, subjectAfter),
    isDone: byAccount.length < BATCH && aboutAccount.length < BATCH,
  };
}

function newest(rows: readonly { id: string }[], before: string): string {
  return rows.reduce((newest, { id }) => (id > newest ? id : newest), before);
}

/**
 * Returns the statement that erases the next batch of events by (`actor`) or about (`subject`) the
 * account. An address belongs to the actor, or to the subject if nobody was signed in; the personal
 * part belongs to the subject.
 */
function erase(column: 'actor' | 'subject'): string {
  const isTheirAddress = '(e.actor = $1 or (e.actor is null and e.subject = $1))';
  const isTheirs = 'e.subject = $1';
  return `
    with chosen as (
      select id from audit_events where ${column} = $1 and id > $2 order by id limit ${BATCH}
    ), erased as (
      update audit_events e set
        ip_hash = ${keptHash('ip_address', 'ip_salt', 'ip_hash', isTheirAddress)},
        ip_address = case when ${isTheirAddress} then null else e.ip_address end,
        ip_salt = case when ${isTheirAddress} then null else e.ip_salt end,
        personal_hash = ${keptHash('personal', 'personal_salt', 'personal_hash', isTheirs)},
        personal = case when ${isTheirs} then null else e.personal end,
        personal_salt = case when ${isTheirs} then null else e.personal_salt end
      from chosen
      where e.id = chosen.id and (e.ip_address is not null or e.personal is not null))
    select id from chosen`;
}

/**
 * Returns the SQL of the hash to keep. An event that is not in the chain yet has no salt and needs
 * none.
 */
function keptHash(value: string, salt: string, kept: string, condition: string): string {
  return `case when ${condition} and e.${salt} is not null
    then sha256(e.${salt} || convert_to(e.${value}, 'UTF8')) else e.${kept} end`;
}
