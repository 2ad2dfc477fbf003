import { create, type DescMethod } from '@bufbuild/protobuf';
import { anyPack, durationMs } from '@bufbuild/protobuf/wkt';
import type { ConnectError } from '@connectrpc/connect';
import type * as grpc from '@grpc/grpc-js';
import { RetryInfoSchema } from '../../../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../../gen/google/rpc/status_pb.ts';
import type { CallLog } from '../../platform/log.ts';
import type { Call } from '../call.ts';
import { toConnectError } from '../errors.ts';
import { logCall } from '../interceptors/logging.ts';
import { encode } from '../messages/kept-answer.ts';
import type { Sent } from '../unary/unary-call.ts';
import { add, metadataOf } from './metadata.ts';

/**
 * The status for anything thrown, with what the method had set to be sent. Logs the calls that fail
 * before they reach the interceptors.
 */
export function failed(method: DescMethod, log: CallLog, call: Call, thrown: unknown, sent?: Sent) {
  const error = toConnectError(thrown, call.requestId);
  if (!call.intercepted) logCall(log, call, `${method.parent.typeName}/${method.name}`, error);
  const status = statusOf(error, call);
  add(status.metadata, sent?.header);
  add(status.metadata, sent?.trailer);
  return status;
}

/**
 * An error as a gRPC status, with its details in `grpc-status-details-bin`, and the delay of its RetryInfo
 * for clients that retry by a policy: they read only `grpc-retry-pushback-ms` (gRFC A6).
 */
export function statusOf(error: ConnectError, call: Call) {
  const metadata = metadataOf(error.metadata, call);
  const details = error.details.map((detail) => {
    if (!('desc' in detail)) throw new TypeError('a detail of the error has no descriptor');
    return anyPack(detail.desc, create(detail.desc, detail.value));
  });
  const [retry] = error.findDetails(RetryInfoSchema);
  if (retry?.retryDelay) {
    metadata.set('grpc-retry-pushback-ms', String(Math.ceil(durationMs(retry.retryDelay))));
  }
  const status = create(StatusSchema, { code: error.code, message: error.rawMessage, details });
  metadata.set('grpc-status-details-bin', encode(StatusSchema, status));
  return { code: error.code as number as grpc.status, details: error.rawMessage, metadata };
}
