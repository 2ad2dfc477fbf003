import { sql } from './database.ts';
import { eventually } from './eventually.ts';

/** Waits until the replicas of a database have run their errands, which they do after the answer. */
export const errandsRun = (of: { databaseUrl: string }) => queueIsEmpty(of, 'errands');

/** Waits until all mails have been delivered. */
export const mailsHaveGone = (of: { databaseUrl: string }) => queueIsEmpty(of, 'mail');

function queueIsEmpty({ databaseUrl }: { databaseUrl: string }, queue: string): Promise<void> {
  const waiting = `select from jobs.job where name = $1 and state < 'completed' limit 1`;
  return eventually(async () => (await sql(databaseUrl, waiting, [queue])).length === 0);
}
