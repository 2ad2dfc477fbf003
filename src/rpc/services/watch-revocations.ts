import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { HandlerContext } from '@connectrpc/connect';
import {
  type Revocation,
  RevocationSchema,
  type WatchRevocationsRequest,
  type WatchRevocationsResponseSchema,
} from '../../../gen/countersign/v1/session_service_pb.ts';
import type { SeenRevocation } from '../../revocations/revocation-log.ts';
import type { RevocationTarget } from '../../revocations/revocation-target.ts';
import type { WatchEvent } from '../../revocations/revocation-watcher.ts';
import { watchRevocations as watch } from '../../revocations/watch-revocations.ts';
import { callerOf } from '../call.ts';
import type { Dependencies } from './dependencies.ts';

type Response = MessageInitShape<typeof WatchRevocationsResponseSchema>;

/** The handler of SessionService.WatchRevocations. */
export function watchRevocations(deps: Dependencies) {
  return async function* (
    { cursor }: WatchRevocationsRequest,
    context: HandlerContext,
  ): AsyncGenerator<Response> {
    for await (const event of watch(deps, callerOf(context), cursor)) yield answer(event);
  };
}

function answer(event: WatchEvent): Response {
  const { cursor } = event;
  switch (event.type) {
    case 'revocation':
      return { cursor, event: { case: 'revocation', value: messageOf(event.revocation) } };
    case 'checkpoint':
      return { cursor, event: { case: 'checkpoint', value: checkpoint(event) } };
    case 'resync':
      return { cursor, event: { case: 'resync', value: {} } };
  }
}

function checkpoint({ caughtUp, asOf }: Extract<WatchEvent, { type: 'checkpoint' }>) {
  return { caughtUp, asOf: timestampFromDate(asOf) };
}

/** Made once for all watchers. */
const messages = new WeakMap<SeenRevocation, Revocation>();

function messageOf(revocation: SeenRevocation): Revocation {
  const known = messages.get(revocation);
  if (known) return known;
  const message = create(RevocationSchema, {
    target: targetOf(revocation.target),
    expiresAt: timestampFromDate(revocation.expiresAt),
    cause: revocation.cause,
  });
  messages.set(revocation, message);
  return message;
}

const ID_CASES = {
  session: 'sessionId',
  token: 'tokenId',
  api_key: 'apiKeyId',
  signing_key: 'signingKeyId',
} as const;

function targetOf(target: RevocationTarget) {
  if (target.kind !== 'subject') return { case: ID_CASES[target.kind], value: target.id };
  const notBefore = timestampFromDate(target.notBefore);
  const tokenVersion = BigInt(target.belowVersion ?? 0);
  return { case: 'subject' as const, value: { subject: target.id, notBefore, tokenVersion } };
}
