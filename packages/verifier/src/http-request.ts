import type { ReadHeader } from './credential.ts';

/** A request of `fetch`-style handlers, or of node's HTTP servers. */
export type HttpRequest = Request | NodeRequest;

/** What `http.IncomingMessage` and `http2.Http2ServerRequest` have in common. */
type NodeRequest = {
  readonly rawHeaders: readonly string[];
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined;
};

/** Reads all values of a header: node's `headers` shows only the first. */
export function headersOf(request: HttpRequest): ReadHeader {
  if (!('rawHeaders' in request)) {
    return (name) => {
      // The values of a name that occurs twice are joined by a comma, which no credential has.
      const value = request.headers.get(name);
      return value === null ? [] : [value];
    };
  }
  const { rawHeaders } = request;
  return (name) => rawHeaders.filter((_, i) => rawHeaders[i - 1]?.toLowerCase() === name && i % 2);
}

/** The address of the connection, without the prefix that IPv4 has on a socket of both kinds. */
export function addressOf(request: HttpRequest): string | undefined {
  if (!('rawHeaders' in request)) return undefined;
  return plainAddress(request.socket?.remoteAddress);
}

/** An address as the service reads it. */
export function plainAddress(address: string | undefined): string | undefined {
  return address?.replace(/^::ffff:(?=\d+\.)/, '');
}
