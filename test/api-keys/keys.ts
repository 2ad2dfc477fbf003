import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type { ApiKey } from '../../gen/countersign/v1/api_key_pb.ts';
import {
  ApiKeyService,
  type CreateApiKeyRequestSchema,
  type VerifyApiKeyRequest,
  VerifyApiKeyRequestSchema,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import { sql } from '../harness/database.ts';
import type { Service } from '../harness/service.ts';

export type NewKey = { apiKey: ApiKey; id: string; secret: string };

export const keysOf = (service: Service, { accessToken }: { accessToken: string }) =>
  service.client(ApiKeyService, 'grpc', accessToken);

export type KeyRequest = MessageInitShape<typeof CreateApiKeyRequestSchema>;

export async function newKey(
  service: Service,
  owner: { accessToken: string },
  request: KeyRequest = {},
): Promise<NewKey> {
  const client = keysOf(service, owner);
  const { apiKey, secret } = await client.createApiKey({ displayName: 'test', ...request });
  if (!apiKey) throw new Error('no key');
  return { apiKey, id: apiKey.apiKeyId, secret };
}

/** What the service says about a secret, without its type names. */
export async function verify(
  service: Service,
  request: string | MessageInitShape<typeof VerifyApiKeyRequestSchema>,
) {
  const message: VerifyApiKeyRequest = create(
    VerifyApiKeyRequestSchema,
    typeof request === 'string' ? { secret: request } : request,
  );
  const client: Client<typeof ApiKeyService> = service.client(ApiKeyService);
  const { $typeName: _, ...answer } = await client.verifyApiKey(message);
  return answer;
}

/** Why a replica refuses a secret. */
export async function reasonOf(at: Service, secret: string) {
  return (await verify(at, secret)).reason;
}

/** Creates a service account with these roles. Returns its id. */
export async function newRobot({ databaseUrl }: Service, ...roles: string[]): Promise<string> {
  const [row] = await sql<{ id: string }>(
    databaseUrl,
    `insert into service_accounts (id, display_name, description, roles, state, created_at, updated_at)
     values (gen_random_uuid(), 'robot', '', $1, 'active', now(), now()) returning id`,
    [roles],
  );
  return row?.id ?? '';
}

/** What the audit log has about a key, the oldest first. */
export function eventsOfKey({ databaseUrl }: Service, keyId: string) {
  return sql<{ type: string; actor: string | null; subject: string | null }>(
    databaseUrl,
    `select type, actor, subject from audit_events where details->>'api_key_id' = $1 order by id`,
    [keyId],
  );
}
