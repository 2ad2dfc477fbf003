import assert from 'node:assert/strict';
import { toBinary } from '@bufbuild/protobuf';
import { IntrospectTokenResponseSchema } from '../../gen/countersign/v1/session_service_pb.ts';
import type { Mint } from '../seed/mint.ts';
import type { PostgresService } from '../service/postgres.ts';
import { framed } from './framed.ts';
import { ask, INTROSPECTION_PATH, introspectionRequest } from './introspection.ts';
import { sendVaried, type VariedLoad } from './varied-load.ts';

/** Sends introspections, each as `framedRequest` makes it, and says how they went. */
export type SendIntrospections = (
  next: VariedLoad['next'],
) => Promise<{ calls: number; perSecond: number }>;

/** The request about a token, as it goes over the wire. */
export function framedRequest(token: string): Buffer {
  return framed(introspectionRequest(token));
}

/** A client of the service that asks about one token after another, all of this mint. */
export async function introspections(
  { grpcAddress: address }: PostgresService,
  mint: Mint,
): Promise<SendIntrospections> {
  const answer = await ask(address, { token: await mint.token() });
  assert.ok(answer.active, 'the service does not accept the minted tokens');
  // Whoever's it is, the answer about a valid token is as long: only ids and times differ.
  const responseBytes = toBinary(IntrospectTokenResponseSchema, answer).byteLength;
  return (next) => sendVaried({ address, path: INTROSPECTION_PATH, next, responseBytes });
}
