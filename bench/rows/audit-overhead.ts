import assert from 'node:assert/strict';
import type { Contestant, Row, RowOptions } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { createDatabase, runSql, startReplica, startServer } from '../service/postgres.ts';
import { signIns } from './login.ts';

/** The least that the configuration takes: hashing would hide what the audit log costs. */
const CHEAP_HASHES = { COUNTERSIGN_ARGON2_MEMORY_KIB: '7168', COUNTERSIGN_ARGON2_TIME_COST: '1' };

/**
 * What the audit log costs a sign-in. The product has no switch to turn it off, so that the database does
 * it: two services, each on a database of its own on one server, one of which has a trigger that throws
 * every event away before it is stored. What is left of the log there is one row's parameters on the way
 * to the server. The other writes events with all their indexes, and puts them in the chain meanwhile.
 */
export const auditOverhead: Row = {
  name: 'AuditOverhead',
  about: 'AuthService/Login with its audit events, PostgreSQL, against the same without',
  target: 0.95,
  async prepare(cleanups, options) {
    const server = await startServer(cleanups);
    return [
      await contestant(cleanups, options, server, 'with events'),
      await contestant(cleanups, options, server, 'without'),
    ];
  },
};

async function contestant(
  cleanups: Cleanups,
  options: RowOptions,
  serverUrl: string,
  name: 'with events' | 'without',
): Promise<Contestant> {
  const databaseUrl = await createDatabase(cleanups, serverUrl, name.replace(' ', '_'));
  const service = await startReplica(cleanups, databaseUrl, { ...options, env: CHEAP_HASHES });
  const isWithout = name === 'without';
  if (isWithout) {
    await runSql(
      databaseUrl,
      `create function ignore() returns trigger language plpgsql as $$ begin return null; end $$;
       create trigger ignore before insert on audit_events for each row execute function ignore()`,
    );
  }
  const people = await signIns(cleanups, service.grpcAddress, name);
  return {
    ...people,
    async check() {
      await people.check();
      const events = await runSql(databaseUrl, 'select 1 from audit_events limit 1');
      assert.equal(events.length, isWithout ? 0 : 1);
    },
  };
}
