import { newWebhookSecret } from '../../src/webhooks/webhook-secret.ts';
import { runSql } from '../service/databases.ts';
import { benchKeyring } from '../service/keyring.ts';

/** As long as what most events become. */
export const PAYLOAD = JSON.stringify({
  type: 'session.started',
  timestamp: '2026-01-01T00:00:00.000Z',
  data: {
    event_id: '01890000-0000-7000-8000-000000000000',
    subject: '01890000-0000-7000-8000-000000000000',
    actor: { kind: 'user', id: '01890000-0000-7000-8000-000000000000' },
    details: { session_id: '01890000-0000-7000-8000-000000000000' },
  },
});

/** Puts paused webhooks into a database, one for each URL, that subscribe to nothing that happens. */
export async function addWebhooks(databaseUrl: string, urls: readonly string[]): Promise<void> {
  const { sealed } = newWebhookSecret(benchKeyring());
  await runSql(
    databaseUrl,
    `insert into webhooks
       (id, display_name, url, event_types, state, secret, created_at, updated_at)
     select gen_random_uuid(), 'bench', url, '{}', 'paused', $2, now(), now()
     from unnest($1::text[]) as url`,
    [urls, sealed],
  );
}

/** Makes that many deliveries for each webhook, which are due. */
export async function addDeliveries(databaseUrl: string, count: number): Promise<void> {
  await runSql(
    databaseUrl,
    `with messages as (
       insert into webhook_messages (id, type, payload, created_at)
       select gen_random_uuid(), 'session.started', convert_to($2, 'utf8'), now()
       from generate_series(1, $1) returning id)
     insert into webhook_deliveries (webhook_id, message_id, state, created_at, next_attempt_at,
       retry_step, attempt_count, attempts)
     select w.id, m.id, 'pending', now(), now(), 0, 0, '[]' from webhooks w, messages m`,
    [count, PAYLOAD],
  );
  await runSql(databaseUrl, 'analyze');
}

/** Lets all webhooks be sent to, or none. */
export async function setWebhooks(databaseUrl: string, state: 'enabled' | 'paused'): Promise<void> {
  await runSql(databaseUrl, 'update webhooks set state = $1', [state]);
}

export async function forgetDeliveries(databaseUrl: string): Promise<void> {
  await runSql(databaseUrl, 'truncate webhook_messages cascade');
}
