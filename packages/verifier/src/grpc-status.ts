import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { Metadata } from '@grpc/grpc-js';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import { detailsOf } from './details.ts';
import { VerifierError } from './errors.ts';
import { Memory } from './memory.ts';

const INTERNAL = 13;
const MAX_REMEMBERED = 1000;

/**
 * Encoded statuses without the request id that stands at their end, by all else that they say. Ten thousand
 * streams that end at once differ in nothing but that id.
 */
const known = new Memory<Buffer>(MAX_REMEMBERED);

/** The status of a call that is refused, with its details. */
export function statusOf(error: unknown, requestId: string) {
  if (!(error instanceof VerifierError)) {
    return { code: INTERNAL, details: 'internal error', metadata: null };
  }
  const { code, message } = error;
  const metadata = new Metadata();
  const bytes = Buffer.concat([withoutId(error, requestId.length), Buffer.from(requestId)]);
  metadata.set('grpc-status-details-bin', bytes);
  return { code: code as number, details: message, metadata };
}

/** For ids of a length, which is encoded too. They are ASCII. */
function withoutId(error: VerifierError, idLength: number): Buffer {
  const { reason, message, metadata, retryAfterMs } = error;
  const name = JSON.stringify([reason, message, metadata, retryAfterMs, idLength]);
  const remembered = known.get(name);
  if (remembered) return remembered;
  const encoded = Buffer.from(encodedWith('-'.repeat(idLength), error));
  const head = encoded.subarray(0, encoded.length - idLength);
  known.set(name, head);
  return head;
}

function encodedWith(requestId: string, error: VerifierError): Uint8Array {
  const { code, message } = error;
  const details = detailsOf(error, requestId).map(({ desc, value }) => packed(desc, value));
  return toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
}

function packed(desc: DescMessage, value: object): Any {
  return anyPack(desc, create(desc, { ...value }));
}
