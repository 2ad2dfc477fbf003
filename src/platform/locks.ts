import { type EntityManager, query } from './sql.ts';

/**
 * The PostgreSQL advisory locks that the program takes, by number. Every version must use the same
 * numbers, so that replicas of two versions exclude each other.
 */
export const NUMBERS = {
  migrations: 727_274_001,
  administrators: 727_274_002,
  roles: 727_274_005,
  signingKeys: 727_274_006,
  webhooks: 727_274_007,
} as const;

/** Waits for every other transaction that holds this lock, and holds it until this one ends. */
export async function lock(em: EntityManager, name: keyof typeof NUMBERS): Promise<void> {
  await query(em, 'select pg_advisory_xact_lock($1)', [NUMBERS[name]]);
}
