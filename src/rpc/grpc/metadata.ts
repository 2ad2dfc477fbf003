import type { OutgoingHttpHeaders } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import type { Call } from '../call.ts';

/** Metadata of an answer. Binary values are sent without padding, which grpc-js does not do. */
class AnswerMetadata extends grpc.Metadata {
  /** grpc-js sends a copy. */
  override clone(): grpc.Metadata {
    const copy = new AnswerMetadata();
    copy.merge(this);
    return copy;
  }

  override toHttp2Headers(): OutgoingHttpHeaders {
    const fields = super.toHttp2Headers();
    for (const [name, value] of Object.entries(fields)) {
      if (name.endsWith('-bin')) fields[name] = [value ?? ''].flat().map(unpadded);
    }
    return fields;
  }
}

/** The trailers of a success, to which grpc-js would give a message. */
class OkMetadata extends AnswerMetadata {
  override clone(): grpc.Metadata {
    return okMetadata(this);
  }

  override toHttp2Headers(): OutgoingHttpHeaders {
    return { ...super.toHttp2Headers(), 'grpc-message': undefined };
  }
}

export function okMetadata(trailers: grpc.Metadata | null | undefined): grpc.Metadata {
  const metadata = new OkMetadata();
  if (trailers) metadata.merge(trailers);
  return metadata;
}

function unpadded(value: string | number): string {
  return String(value).replace(/=+$/, '');
}

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
  const metadata = new AnswerMetadata();
  add(metadata, headers);
  if (call) metadata.set('x-request-id', call.requestId);
  return metadata;
}

/** Headers of an answer in the form that node:http2 takes. */
export function fieldsOf(headers: Headers): OutgoingHttpHeaders {
  return metadataOf(headers).toHttp2Headers();
}

/** Adds headers to metadata. Several values of one name are joined by commas in headers. */
export function add(metadata: grpc.Metadata, headers: Headers | undefined): void {
  headers?.forEach((value, name) => {
    const values = name.endsWith('-bin')
      ? value.split(',').map((each) => Buffer.from(each, 'base64'))
      : [value];
    for (const each of values) metadata.add(name, each);
  });
}

const CALL = 'countersign.call';

/** Attaches a call to its metadata, which carries it from its beginning to its handler. */
export function carry(metadata: grpc.Metadata, call: Call): void {
  metadata.setOpaque(CALL, call);
}

/** The call that `carry` attached to this metadata. */
export function carriedBy(metadata: grpc.Metadata): Call {
  const call = metadata.getOpaque(CALL);
  if (!call) throw new Error('this call never began');
  return call as Call;
}
