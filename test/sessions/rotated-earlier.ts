import { sql } from '../harness/database.ts';
import type { Service } from '../harness/service.ts';

/** Makes a session's last exchange older by this much, by the database's clock (`1 hour`). */
export async function rotatedEarlier(
  { databaseUrl }: Pick<Service, 'databaseUrl'>,
  sessionId: string,
  by: string,
): Promise<void> {
  await sql(
    databaseUrl,
    'update sessions set rotated_at = rotated_at - $2::interval where id = $1',
    [sessionId, by],
  );
}
