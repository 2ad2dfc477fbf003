import { readyAt } from '../signing-keys/schedule.ts';
import type { Database } from './database.ts';
import { type Finding, findings, type Sentences } from './finding.ts';

const DAY_MS = 24 * 3600_000;
/** A key that signs for longer has been forgotten. */
const OLD_DAYS = 180;

export const SIGNING_KEYS = {
  'signing_keys.ok': {
    state: 'ok',
    says: 'a key of {algorithm} has signed for {days} days; the next may sign {ready}',
  },
  'signing_keys.none': {
    state: 'warning',
    says: 'there are none yet',
    todo: 'nothing: the service makes them when it starts',
  },
  'signing_keys.no_next': {
    state: 'warning',
    says: 'no next key is published: a rotation would surprise those who verify tokens',
    todo: 'start a replica: it makes one within a minute',
  },
  'signing_keys.old': {
    state: 'warning',
    says: 'the same key has signed for {days} days',
    todo: 'run `countersign keys rotate`, and plan it monthly (docs/signing-keys.md)',
  },
  'signing_keys.algorithm': {
    state: 'warning',
    says: 'tokens are signed by {algorithm}, and COUNTERSIGN_SIGNING_ALG is {wanted}',
    todo: 'nothing for 20 minutes after the change; after that, look at whether every replica has it',
  },
} as const satisfies Sentences;

const say = findings(SIGNING_KEYS);

type Key = { algorithm: string; state: string; createdAt: Date; activatedAt: Date; now: Date };

/** How old the key is that signs, and whether another is ready. */
export async function checkSigningKeys(database: Database, wanted: string): Promise<Finding[]> {
  const keys = await database.ask<Key>(
    `select algorithm, state, created_at as "createdAt", activated_at as "activatedAt", now() as now
     from signing_keys where state in ('active', 'next')`,
  );
  const active = keys.find(({ state }) => state === 'active');
  const next = keys.find(({ state }) => state === 'next');
  if (!active) return [say('signing_keys.none')];
  const { algorithm, now } = active;
  const days = Math.floor((now.getTime() - active.activatedAt.getTime()) / DAY_MS);
  const found: Finding[] = [];
  if (days > OLD_DAYS) found.push(say('signing_keys.old', { days }));
  if (algorithm !== wanted) found.push(say('signing_keys.algorithm', { algorithm, wanted }));
  if (!next) return [...found, say('signing_keys.no_next')];
  if (found.length > 0) return found;
  const from = readyAt(next);
  const ready = from <= now ? 'at any time' : `from ${from.toISOString()}`;
  return [say('signing_keys.ok', { algorithm, days, ready })];
}
