import { v7 as uuidv7 } from 'uuid';
import {
  firstRefreshSecret,
  formatRefreshToken,
  refreshHash,
} from '../../src/sessions/refresh-secret.ts';
import { testKeyring } from '../forge.ts';
import { sql } from '../harness/database.ts';
import { person } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

export type Opened = { sessionId: string; refreshToken: string };

/** Opens sessions of one new person, put into the database as so many sign-ins would have. */
export async function manySessions(service: Service, count: number): Promise<Opened[]> {
  const { userId } = await person(service);
  const keyring = testKeyring();
  const secrets = Array.from({ length: count }, () => firstRefreshSecret(keyring, uuidv7()));
  const now = service.clock.now();
  await sql(
    service.databaseUrl,
    `insert into sessions (id, account_id, device_label, user_agent, ip_address, amr, auth_time,
       created_at, refreshed_at, expires_at, refresh_generation, refresh_hash, refresh_key_version)
     select id, $2, '', '', '', '{pwd}', $3, $3, $3, $3::timestamptz + interval '1 day', 0, hash, $5
     from unnest($1::uuid[], $4::bytea[]) as opened (id, hash)`,
    [
      secrets.map(({ sessionId }) => sessionId),
      userId,
      now,
      secrets.map((secret) => refreshHash(keyring, secret)),
      keyring.current,
    ],
  );
  return secrets.map((secret) => ({
    sessionId: secret.sessionId,
    refreshToken: formatRefreshToken(keyring, secret),
  }));
}
