import type { Client } from '@connectrpc/connect';
import { AdminService } from '../gen/countersign/v1/admin_service_pb.ts';
import type { Tokens } from '../gen/countersign/v1/tokens_pb.ts';
import { type Service, signedIn, signIn, sql } from './harness.ts';

/** Somebody who has signed in with roles, and their way to AdminService. */
export type Administrator = Tokens & {
  email: string;
  userId: string;
  admin: Client<typeof AdminService>;
};

/** A person with these roles, who has just signed in. */
export async function withRoles(service: Service, ...roles: string[]): Promise<Administrator> {
  const { email } = await signedIn(service);
  await sql(service.databaseUrl, 'update accounts set roles = $2 where email = $1', [email, roles]);
  const tokens = await signIn(service, email);
  const admin = adminClient(service, tokens);
  return { ...tokens, email, userId: userIdOf(tokens), admin };
}

/** AdminService as the holder of a token calls it. */
export function adminClient(service: Service, { accessToken }: { accessToken: string }) {
  return service.client(AdminService, 'grpc', accessToken);
}

export function userIdOf({ accessToken }: { accessToken: string }): string {
  return JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()).sub;
}

/** What the audit log has of an account, the oldest first. */
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
