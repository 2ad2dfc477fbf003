import { toBinary } from '@bufbuild/protobuf';
import type { PostgresService } from '../service/replica.ts';
import { framed } from './grpc-framing.ts';
import { introspection } from './introspection.ts';
import type { Mint } from './mint.ts';
import { ask, pathOf, questionBytes } from './question.ts';
import { sendVaried, type VariedLoad } from './varied-load.ts';

/** Sends introspections, whose requests `next` returns, and returns how many were answered. */
export type SendIntrospections = (
  next: VariedLoad['next'],
) => Promise<{ calls: number; perSecond: number }>;

/** Returns the request about a token, as gRPC sends it. */
export function framedRequest(token: string): Buffer {
  return framed(questionBytes(introspection(token)));
}

/** Returns a client of the service that asks about one token of the mint after another. */
export async function introspections(
  { grpcAddress: address }: PostgresService,
  mint: Mint,
): Promise<SendIntrospections> {
  const question = introspection(await mint.token());
  const answer = await ask(address, question);
  const path = pathOf(question.method);
  // All answers about valid tokens have the same length: only ids and times differ.
  const responseBytes = toBinary(question.method.output, answer).byteLength;
  return (next) => sendVaried({ address, path, next, responseBytes });
}
