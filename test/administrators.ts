import type { Client } from '@connectrpc/connect';
import { AdminService } from '../gen/countersign/v1/admin_service_pb.ts';
import { sql } from './harness/database.ts';
import { type Person, person } from './harness/people.ts';
import type { Service } from './harness/service.ts';

/** A person who has signed in with roles, and their client of AdminService. */
export type Administrator = Person & { admin: Client<typeof AdminService> };

/** A person with these roles, who has just signed in. */
export async function withRoles(service: Service, ...roles: string[]): Promise<Administrator> {
  const who = await person(service, ...roles);
  return { ...who, admin: adminClient(service, who) };
}

/** AdminService as the holder of a token calls it. */
export function adminClient(service: Service, { accessToken }: { accessToken: string }) {
  return service.client(AdminService, 'grpc', accessToken);
}

/** What the audit log has about an account, the oldest first. */
export function eventsOf(service: Service, subject: string) {
  return sql<{
    type: string;
    actor: string;
    details: Record<string, unknown>;
    personal: Record<string, unknown> | null;
  }>(
    service.databaseUrl,
    `select type, actor, details, personal::jsonb as personal
     from audit_events where subject = $1 order by id`,
    [subject],
  );
}
