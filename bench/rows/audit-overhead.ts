import assert from 'node:assert/strict';
import type { Contestant, Row, RowOptions } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { createDatabase, runSql, startServer } from '../service/databases.ts';
import { CHEAP_HASHING } from '../service/passwords.ts';
import { startReplica } from '../service/replica.ts';
import { signIns } from './login.ts';

/**
 * Measures what the audit log costs a sign-in. The service has no switch to turn the log off, so the
 * database does: of two services, each on a database of its own on one server, one has a trigger that
 * discards every event before it is stored. All that is left of the log there is sending one row's
 * parameters to the server. The other service stores events with all their indexes, and puts them in
 * the chain meanwhile. Hashing is as cheap as possible, since it would hide the difference.
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
  const service = await startReplica(cleanups, databaseUrl, { ...options, env: CHEAP_HASHING });
  const isWithout = name === 'without';
  if (isWithout) {
    await runSql(
      databaseUrl,
      `create function ignore() returns trigger language plpgsql as $$ begin return null; end $$;
       create trigger ignore before insert on audit_events for each row execute function ignore()`,
    );
  }
  const people = await signIns(service.grpcAddress, name);
  return {
    ...people,
    async check() {
      await people.check();
      const events = await runSql(databaseUrl, 'select 1 from audit_events limit 1');
      assert.equal(events.length, isWithout ? 0 : 1);
    },
  };
}
