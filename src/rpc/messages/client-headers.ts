import type { AttributeContext_HttpRequest as HttpRequest } from '../../../gen/envoy/service/auth/v3/attribute_context_pb.ts';
import { isForged } from '../../mesh/identity.ts';

/** What decides about a client's request, of all its headers. */
export type ClientHeaders = {
  /** All values of `authorization`. A proxy may have joined them by commas. */
  authorization: string[];
  /** All values of `x-api-key`. */
  apiKeys: string[];
  forwardedFor: string | undefined;
  isGrpc: boolean;
  /** The names of those that read like ours. */
  forged: string[];
};

/**
 * Reads the headers of a client's request, as a proxy tells of them: in `headers`, or with
 * `encode_raw_headers` in `header_map`, as the bytes that the client sent.
 */
export function clientHeaders({ headers, headerMap }: HttpRequest): ClientHeaders {
  const found: ClientHeaders = {
    authorization: [],
    apiKeys: [],
    forwardedFor: undefined,
    isGrpc: false,
    forged: [],
  };
  // Both never come together. If they do, all values count, so that none can hide behind the other.
  for (const name in headers) note(found, name, headers[name] ?? '');
  for (const { key, value, rawValue } of headerMap?.headers ?? []) {
    const text = rawValue.length > 0 ? Buffer.from(rawValue).toString('latin1') : value;
    note(found, key.toLowerCase(), text);
  }
  return found;
}

function note(found: ClientHeaders, name: string, value: string): void {
  switch (name) {
    case 'authorization':
      found.authorization.push(value);
      return;
    case 'x-api-key':
      found.apiKeys.push(value);
      return;
    case 'x-forwarded-for':
      found.forwardedFor =
        found.forwardedFor === undefined ? value : `${found.forwardedFor},${value}`;
      return;
    case 'content-type':
      found.isGrpc =
        value.startsWith('application/grpc') && !value.startsWith('application/grpc-web');
      return;
    default:
      if (isForged(name)) found.forged.push(name);
  }
}
