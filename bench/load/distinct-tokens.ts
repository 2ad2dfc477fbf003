import assert from 'node:assert/strict';
import { toBinary } from '@bufbuild/protobuf';
import { IntrospectTokenResponseSchema } from '../../gen/countersign/v1/session_service_pb.ts';
import type { PostgresService } from '../service/replica.ts';
import { framed } from './grpc-framing.ts';
import { ask, INTROSPECTION_PATH, introspectionRequest } from './introspection.ts';
import type { Mint } from './mint.ts';
import { sendVaried, type VariedLoad } from './varied-load.ts';

/** Sends introspections, whose requests `next` returns, and returns how many were answered. */
export type SendIntrospections = (
  next: VariedLoad['next'],
) => Promise<{ calls: number; perSecond: number }>;

/** Returns the request about a token, as gRPC sends it. */
export function framedRequest(token: string): Buffer {
  return framed(introspectionRequest(token));
}

/** Returns a client of the service that asks about one token of the mint after another. */
export async function introspections(
  { grpcAddress: address }: PostgresService,
  mint: Mint,
): Promise<SendIntrospections> {
  const answer = await ask(address, { token: await mint.token() });
  assert.ok(answer.active, 'the service does not accept the minted tokens');
  // All answers about valid tokens have the same length: only ids and times differ.
  const responseBytes = toBinary(IntrospectTokenResponseSchema, answer).byteLength;
  return (next) => sendVaried({ address, path: INTROSPECTION_PATH, next, responseBytes });
}
