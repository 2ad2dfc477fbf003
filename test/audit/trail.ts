import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Client } from '@connectrpc/connect';
import {
  type AuditChainResult,
  type AuditEvent,
  AuditService,
} from '../../gen/countersign/v1/audit_service_pb.ts';
import type { Protocol } from '../harness/clients.ts';
import { sql } from '../harness/database.ts';
import { eventually } from '../harness/eventually.ts';
import { person } from '../harness/people.ts';
import type { Service } from '../harness/service.ts';

/** A client of the trail, for a person who may read it. */
export async function auditor(
  service: Service,
  protocol: Protocol = 'grpc',
): Promise<Client<typeof AuditService>> {
  const { accessToken } = await person(service, 'user', 'admin');
  return service.client(AuditService, protocol, accessToken);
}

/** Records events, as an earlier version might. */
export async function seed(
  service: Service,
  count: number,
  { type = 'test.seeded', occurredAt = new Date(), subject = null as string | null } = {},
): Promise<void> {
  await sql(
    service.databaseUrl,
    `insert into audit_events (id, occurred_at, type, actor, subject, outcome, reason, ip_address,
       request_id, details)
     select (lpad(to_hex((extract(epoch from $3::timestamptz) * 1000)::bigint), 12, '0')
         || '7' || $5::text || '8' || lpad(to_hex(n), 15, '0'))::uuid,
       $3, $2, null, $4, 'success', null, '192.0.2.' || n % 200, 'seed-' || n,
       jsonb_build_object('n', n)
     from generate_series(1, $1::int) n`,
    [count, type, occurredAt, subject, randomBytes(2).toString('hex').slice(1)],
  );
}

/** Waits until every event is in the chain. Returns the position of the last one. */
export async function chained(service: Service, withinMs = 20_000): Promise<number> {
  await eventually(async () => {
    const waiting = `select 1 from audit_events where position is null order by id limit 1`;
    return (await sql(service.databaseUrl, waiting)).length === 0;
  }, withinMs);
  const [row] = await sql<{ position: string }>(
    service.databaseUrl,
    'select position::text from audit_chain',
  );
  return Number(row?.position);
}

/** What a verification finds. */
export async function verified(
  audit: Client<typeof AuditService>,
  request: { knownHead?: string; onlyAfterKnownHead?: boolean } = {},
): Promise<AuditChainResult> {
  const told = await Array.fromAsync(audit.verifyAuditChain(request));
  const last = told.at(-1)?.event;
  assert.equal(last?.case, 'result');
  return last.value as AuditChainResult;
}

/** What a watcher is told until it has caught up, by the positions of events. */
export async function caughtUp(
  audit: Client<typeof AuditService>,
  cursor = '',
  filters = {},
): Promise<{ events: AuditEvent[]; cursor: string; cases: (string | undefined)[] }> {
  const leaving = new AbortController();
  const events: AuditEvent[] = [];
  const cases: (string | undefined)[] = [];
  const stream = audit.watchAuditEvents({ cursor, filters }, { signal: leaving.signal });
  for await (const response of stream) {
    cases.push(response.event.case);
    if (response.event.case === 'auditEvent') events.push(response.event.value);
    if (response.event.case === 'checkpoint' && response.event.value.caughtUp) {
      // Leaving ends the stream with an error, which does not matter here.
      queueMicrotask(() => leaving.abort());
      return { events, cursor: response.cursor, cases };
    }
  }
  throw new Error('the stream has ended');
}
