import { sql } from './database.ts';
import { eventually } from './eventually.ts';

/** Waits until the replicas of a database have done what they were asked, which they do after the answer. */
export function errandsRun({ databaseUrl }: { databaseUrl: string }): Promise<void> {
  const waiting = `select from jobs.job where name = 'errands' and state < 'completed' limit 1`;
  return eventually(async () => (await sql(databaseUrl, waiting)).length === 0);
}
