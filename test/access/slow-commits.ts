import pg from 'pg';
import { atEnd } from '../harness/at-end.ts';
import { sql } from '../harness/database.ts';
import type { Service } from '../harness/service.ts';

/** The lock that a slow commit waits for. */
const COMMIT_LOCK = 4242;

/** Stops transactions that revoke something at their commit. Returns a function that releases them. */
export async function slowCommits({ databaseUrl }: Service): Promise<() => Promise<unknown>> {
  const holder = new pg.Client({ connectionString: databaseUrl });
  await holder.connect();
  atEnd(() => holder.end());
  await holder.query('select pg_advisory_lock($1)', [COMMIT_LOCK]);
  await sql(
    databaseUrl,
    `create or replace function wait_at_commit() returns trigger language plpgsql as $$
     begin perform pg_advisory_xact_lock_shared(${COMMIT_LOCK}); return null; end $$;
     drop trigger if exists wait_at_commit on revocations;
     create constraint trigger wait_at_commit after insert on revocations deferrable initially deferred
     for each row execute function wait_at_commit()`,
  );
  return () => holder.query('select pg_advisory_unlock($1)', [COMMIT_LOCK]);
}

/** Whether a transaction waits at its commit, since so long (`2 seconds`). */
export async function isCommitting({ databaseUrl }: Service, since = '0'): Promise<boolean> {
  const waiting = await sql(
    databaseUrl,
    `select 1 from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.objid = ${COMMIT_LOCK} and not l.granted
       and clock_timestamp() - a.state_change > $1::interval`,
    [since],
  );
  return waiting.length > 0;
}
