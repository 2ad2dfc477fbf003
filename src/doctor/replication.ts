import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

export const REPLICATION = {
  'replication.none': {
    state: 'ok',
    says: 'no standby follows: what is acknowledged is as safe as the disk of this server',
  },
  'replication.synchronous': {
    state: 'ok',
    says: '{count} synchronous: an acknowledged revocation survives a fail-over',
  },
  'replication.asynchronous': {
    state: 'warning',
    says: '{count} and none of them synchronous: a fail-over can lose what was acknowledged just before it, so that a revoked token works again',
    todo: 'set synchronous_standby_names (Patroni: synchronous_mode), or accept it',
  },
  'replication.waiting': {
    state: 'failure',
    says: 'synchronous_standby_names is set, and no such standby follows: every change waits',
    todo: 'bring a standby back, or clear synchronous_standby_names until there is one',
  },
  'replication.not_awaited': {
    state: 'warning',
    says: 'synchronous_commit is {setting}: changes do not wait for the synchronous standby',
    todo: 'set it to on for this role',
  },
  'replication.commit_off': {
    state: 'warning',
    says: 'synchronous_commit is off: a crash of the server loses what was acknowledged in the last moments, revocations included',
    todo: 'set it to on for this role',
  },
  'replication.unseen': {
    state: 'warning',
    says: '{count}, but this role may not see whether one is synchronous',
    todo: 'grant pg_monitor to the role, or look at pg_stat_replication as another',
  },
} as const satisfies Sentences;

const say = findings(REPLICATION);

type Settings = { names: string; commit: string };
type Standbys = { all: number; synchronous: number; unseen: number };

/** What a fail-over of the database does to what was acknowledged. */
export async function checkReplication(database: Database): Promise<Finding[]> {
  const [settings] = await database.ask<Settings>(
    `select current_setting('synchronous_standby_names') as names,
       current_setting('synchronous_commit') as commit`,
  );
  const [standbys] = await database.ask<Standbys>(
    `select count(*)::int as all, count(*) filter (where sync_state is null)::int as unseen,
       count(*) filter (where sync_state in ('sync', 'quorum'))::int as synchronous
     from pg_stat_replication`,
  );
  return replicationOf(
    settings ?? { names: '', commit: 'on' },
    standbys ?? { all: 0, synchronous: 0, unseen: 0 },
  );
}

/** What follows from the settings of the server and from who follows it. */
export function replicationOf({ names, commit }: Settings, standbys: Standbys): Finding[] {
  const found = [ofStandbys(standbys, names !== '')];
  if (commit === 'off') found.push(say('replication.commit_off'));
  else if (commit === 'local' && names !== '') {
    found.push(say('replication.not_awaited', { setting: commit }));
  }
  return found;
}

function ofStandbys({ all, synchronous, unseen }: Standbys, areNamed: boolean): Finding {
  const count = all === 1 ? '1 standby follows' : `${all} standbys follow`;
  if (unseen > 0 && areNamed) return say('replication.unseen', { count });
  if (areNamed && synchronous === 0) return say('replication.waiting');
  if (all === 0) return say('replication.none');
  if (synchronous === 0) return say('replication.asynchronous', { count });
  return say('replication.synchronous', { count: `${count}, ${synchronous} of them` });
}
