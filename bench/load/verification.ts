import { randomUUID } from 'node:crypto';
import type {
  VerifyApiKeyRequestSchema,
  VerifyApiKeyResponseSchema,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import { ApiKeyService } from '../../gen/countersign/v1/api_key_service_pb.ts';
import { hashSecret, newSecret } from '../../src/api-keys/api-key-secret.ts';
import { runSql } from '../service/databases.ts';
import { benchKeyring } from '../service/keyring.ts';
import type { PostgresService } from '../service/replica.ts';
import type { Question } from './question.ts';

/** Inserts API keys of a new owner, who holds all their scopes. Returns their secrets. */
export async function insertKeys(
  { databaseUrl }: PostgresService,
  count: number,
  scopes = ['users.read', 'audit.read'],
) {
  const keyring = benchKeyring();
  const owner = randomUUID();
  await runSql(
    databaseUrl,
    `insert into accounts (id, email, canonical_email, display_name, state, email_verified_at, roles,
       created_at, updated_at)
     values ('${owner}', '${owner}@example.com', '${owner}@example.com', '', 'active', now(),
       '{user,admin}', now(), now())`,
  );
  const keys = Array.from({ length: count }, () => {
    const id = randomUUID();
    const secret = newSecret(id);
    return { id, secret, hash: Buffer.from(hashSecret(keyring, secret).hash).toString('hex') };
  });
  await runSql(
    databaseUrl,
    `insert into api_keys (id, account_id, display_name, scopes, secret_hash, key_version,
       allowed_cidrs, created_at)
     values ${keys.map(({ id, hash }) => `('${id}', '${owner}', '', '{${scopes}}', '\\x${hash}', ${keyring.current}, '{}', now())`)}`,
  );
  return keys.map(({ secret }) => secret);
}

/** The question about an API key, by its secret. */
export function verification(
  secret: string,
): Question<typeof VerifyApiKeyRequestSchema, typeof VerifyApiKeyResponseSchema> {
  return {
    method: ApiKeyService.method.verifyApiKey,
    request: { secret, requiredScopes: ['users.read'] },
    isRight: ({ valid }) => valid,
  };
}
