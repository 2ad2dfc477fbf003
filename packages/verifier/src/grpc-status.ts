import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { Metadata } from '@grpc/grpc-js';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import { detailsOf } from './details.ts';
import { VerifierError } from './errors.ts';

const INTERNAL = 13;

/** The status of a call that is refused, with its details. */
export function statusOf(error: unknown, requestId: string) {
  if (!(error instanceof VerifierError)) {
    return { code: INTERNAL, details: 'internal error', metadata: null };
  }
  const { code, message } = error;
  const details = detailsOf(error, requestId).map(({ desc, value }) => packed(desc, value));
  const metadata = new Metadata();
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  return { code: code as number, details: message, metadata };
}

function packed(desc: DescMessage, value: object): Any {
  return anyPack(desc, create(desc, { ...value }));
}
