import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type { ApiKey } from '../../gen/countersign/v1/api_key_pb.ts';
import {
  ApiKeyService,
  type CreateApiKeyRequestSchema,
  type VerifyApiKeyRequest,
  VerifyApiKeyRequestSchema,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import type { Tokens } from '../../gen/countersign/v1/tokens_pb.ts';
import { type Service, signedIn, signIn, sql } from '../harness.ts';

export type Person = Tokens & { email: string; userId: string };
export type NewKey = { apiKey: ApiKey; id: string; secret: string };

export const keysOf = (service: Service, { accessToken }: { accessToken: string }) =>
  service.client(ApiKeyService, 'grpc', accessToken);

const userIdOf = ({ accessToken }: { accessToken: string }): string =>
  claimsOf(accessToken)['sub'] as string;

export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

/** Somebody who has just signed in, with these roles. */
export async function person(service: Service, ...roles: string[]): Promise<Person> {
  const first = await signedIn(service);
  const { email } = first;
  if (roles.length === 0) return { ...first, userId: userIdOf(first) };
  await sql(service.databaseUrl, 'update accounts set roles = $2 where email = $1', [email, roles]);
  const tokens = await signIn(service, email);
  return { ...tokens, email, userId: userIdOf(tokens) };
}

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

/** What the service says of a secret, without its type names. */
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
