import * as grpc from '@grpc/grpc-js';
import type { Call } from '../call.ts';

/** What a caller sent along, as Connect has it. */
export function headersOf(metadata: grpc.Metadata): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(metadata.toHttp2Headers())) {
    for (const each of [value].flat()) headers.append(name, String(each));
  }
  return headers;
}

/** What is sent along with an answer, and with `call`, its request id. */
export function metadataOf(headers: Headers, call?: Call): grpc.Metadata {
  const metadata = new grpc.Metadata();
  headers.forEach((value, name) => {
    metadata.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  });
  if (call) metadata.set('x-request-id', call.requestId);
  return metadata;
}

const CALL = 'countersign.call';

/** Has a call go with the metadata that it came with, from where it begins to its handler. */
export function carry(metadata: grpc.Metadata, call: Call): void {
  metadata.setOpaque(CALL, call);
}

/** The call that began with this metadata. */
export function carriedBy(metadata: grpc.Metadata): Call {
  const call = metadata.getOpaque(CALL);
  if (!call) throw new Error('a call that never began');
  return call as Call;
}
