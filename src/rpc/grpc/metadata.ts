import * as grpc from '@grpc/grpc-js';
import type { Call } from '../call.ts';

/** The metadata of a request as Connect has it. */
export function headersOf(metadata: grpc.Metadata): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(metadata.toHttp2Headers())) {
    for (const each of [value].flat()) headers.append(name, String(each));
  }
  return headers;
}

/** Headers of an answer as grpc-js has them, with the request id if `call` is given. */
export function metadataOf(headers: Headers, call?: Call): grpc.Metadata {
  const metadata = new grpc.Metadata();
  headers.forEach((value, name) => {
    metadata.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  });
  if (call) metadata.set('x-request-id', call.requestId);
  return metadata;
}

const CALL = 'countersign.call';

/** Attaches a call to its metadata, which takes it from where it begins to its handler. */
export function carry(metadata: grpc.Metadata, call: Call): void {
  metadata.setOpaque(CALL, call);
}

/** The call that `carry` attached to this metadata. */
export function carriedBy(metadata: grpc.Metadata): Call {
  const call = metadata.getOpaque(CALL);
  if (!call) throw new Error('this call never began');
  return call as Call;
}
