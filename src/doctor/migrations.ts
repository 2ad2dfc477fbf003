import { migrations } from '../../migrations/index.ts';
import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

export const MIGRATIONS = {
  'migrations.ok': { state: 'ok', says: 'the schema is up to date: {count} migrations' },
  'migrations.none': {
    state: 'failure',
    says: 'the database is empty',
    todo: 'run `countersign migrate`',
  },
  'migrations.pending': {
    state: 'failure',
    says: 'the database has not had {names}',
    todo: 'run `countersign migrate`; replicas of this version wait for it',
  },
  'migrations.newer': {
    state: 'warning',
    says: 'the database has had {names}, which this version does not know: it is older than the schema',
    todo: 'nothing during a rollout or after a rollback; otherwise run the newer version',
  },
  'migrations.queues': {
    state: 'failure',
    says: 'the tables of the job queues are missing: no mail can be queued',
    todo: 'run `countersign migrate`',
  },
} as const satisfies Sentences;

const say = findings(MIGRATIONS);

/** Whether the database has the schema of this version. */
export async function checkMigrations(database: Database): Promise<Finding[]> {
  const [there] = await database.ask<{ tables: boolean; queues: boolean }>(
    `select to_regclass('schema_migrations') is not null as tables,
       to_regclass('jobs.version') is not null as queues`,
  );
  if (!there?.tables) return [say('migrations.none')];
  const rows = await database.ask<{ name: string }>('select name from schema_migrations');
  const had = new Set(rows.map(({ name }) => name));
  const known = migrations.map(({ name }) => name);
  const pending = known.filter((name) => !had.has(name));
  const newer = [...had].filter((name) => !known.includes(name));
  const found: Finding[] = [];
  if (pending.length > 0) found.push(say('migrations.pending', { names: pending.join(', ') }));
  if (newer.length > 0) found.push(say('migrations.newer', { names: newer.join(', ') }));
  if (!there.queues) found.push(say('migrations.queues'));
  return found.length > 0 ? found : [say('migrations.ok', { count: had.size })];
}
