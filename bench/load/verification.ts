import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { create, equals, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  ApiKeyService,
  VerifyApiKeyRequestSchema,
  type VerifyApiKeyResponse,
  VerifyApiKeyResponseSchema,
} from '../../gen/countersign/v1/api_key_service_pb.ts';
import { hashSecret, newSecret } from '../../src/api-keys/api-key-secret.ts';
import type { Contestant } from '../report/row.ts';
import type { Cleanups } from '../service/cleanups.ts';
import { runSql } from '../service/databases.ts';
import { benchKeyring } from '../service/keyring.ts';
import type { PostgresService } from '../service/replica.ts';
import { grpcLoad } from './h2load.ts';
import { startEcho } from './introspection.ts';

export const VERIFICATION_PATH = `/${ApiKeyService.typeName}/${ApiKeyService.method.verifyApiKey.name}`;

/** Inserts API keys of a new owner, who holds all their scopes. Returns their secrets. */
export async function insertKeys({ databaseUrl }: PostgresService, count: number) {
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
     values ${keys.map(({ id, hash }) => `('${id}', '${owner}', '', '{users.read,audit.read}', '\\x${hash}', ${keyring.current}, '{}', now())`)}`,
  );
  return keys.map(({ secret }) => secret);
}

/** Returns the service and a bare echo, which answer the same verification with the same bytes. */
export async function verification(
  cleanups: Cleanups,
  { grpcAddress }: PostgresService,
  secret: string,
): Promise<[Contestant, Contestant]> {
  const answer = await verifyOnce(grpcAddress, secret);
  const echo = await startEcho(
    cleanups,
    'verifyApiKey',
    toBinary(VerifyApiKeyResponseSchema, answer),
  );
  const contestant = (name: string, address: string): Contestant => ({
    name,
    async check() {
      const got = await verifyOnce(address, secret);
      assert.ok(got.valid, `${name} says that the key is not valid`);
      assert.ok(equals(VerifyApiKeyResponseSchema, got, answer), `${name} answers differently`);
    },
    perSecond: grpcLoad(cleanups, {
      address,
      path: VERIFICATION_PATH,
      request: verificationRequest(secret),
      headers: {},
      responseBytes: toBinary(VerifyApiKeyResponseSchema, answer).byteLength,
    }),
  });
  return [contestant('the service', grpcAddress), contestant('a bare grpc-js echo', echo)];
}

/** Returns the bytes of the request about a secret. */
export function verificationRequest(secret: string): Uint8Array {
  const requiredScopes = ['users.read'];
  const request = create(VerifyApiKeyRequestSchema, { secret, requiredScopes });
  return toBinary(VerifyApiKeyRequestSchema, request);
}

/** Verifies a secret once. */
export function verifyOnce(address: string, secret: string): Promise<VerifyApiKeyResponse> {
  const transport = createGrpcTransport({ baseUrl: `http://${address}` });
  const request = { secret, requiredScopes: ['users.read'] };
  return createClient(ApiKeyService, transport).verifyApiKey(request, { timeoutMs: 10_000 });
}
