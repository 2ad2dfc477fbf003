import { type EntityManager, query } from './sql.ts';

/**
 * The locks of the program: rows of the table `locks`. The versions before it take the PostgreSQL
 * advisory locks of these numbers instead, and must be excluded too while they run: so both are taken
 * (decision 0040 says until when).
 */
export const NUMBERS = {
  migrations: 727_274_001,
  administrators: 727_274_002,
  roles: 727_274_005,
  signingKeys: 727_274_006,
  webhooks: 727_274_007,
} as const;

/** Two that make the table at once: one of them fails by the table, or by the type that comes with it. */
const MADE_BY_ANOTHER = new Set(['42P07', '23505']);

/** Makes the table by `run`, with the lock that migrations take before they make everything else. */
export async function makeLocks(run: (sql: string) => Promise<unknown>): Promise<void> {
  const make = () =>
    run(`create table if not exists locks (name text primary key);
         insert into locks (name) values ('migrations') on conflict do nothing`);
  await make().catch((error) => {
    if (!MADE_BY_ANOTHER.has(error.code)) throw error;
    return make();
  });
}

/** Waits for every other transaction that holds this lock, and holds it until this one ends. */
export async function lock(em: EntityManager, name: keyof typeof NUMBERS): Promise<void> {
  const rows = await query(
    em,
    `select pg_advisory_xact_lock($2)
     from (select name from locks where name = $1 for update) as held`,
    [name, NUMBERS[name]],
  );
  if (rows.length === 0) throw new Error(`the table locks has no row ${name}`);
}
