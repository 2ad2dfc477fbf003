import { once } from 'node:events';
import { type IncomingHttpHeaders, request as request1 } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders as Headers2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { type DescMethod, type Message, toBinary, toJsonString } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { errorFromJsonBytes } from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { trailerParse } from '@connectrpc/connect/protocol-grpc-web';
import type { App } from '../../src/app.ts';

/**
 * Calls by hand, byte by byte, for what no well-made client would send. `Dialect` is a protocol with
 * its encoding and its version of HTTP.
 */
export const DIALECTS = ['grpc', 'connect', 'connect json', 'connect http/2', 'grpc-web'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** Several lines of one name as a list. */
export type HeaderFields = Record<string, string | string[]>;

export type Sent = {
  method: DescMethod;
  /** The message, or the bytes that stand in its place. */
  body: Message | Uint8Array;
  headers?: HeaderFields;
  /** The envelope's flags, where the protocol has one. */
  flags?: number;
  /** Bytes as they are, envelope and all. */
  raw?: boolean;
  /** The address to call from: any of 127.0.0.0/8 will do. */
  from?: string;
};

export type Got = {
  status: number;
  header: Headers;
  body: Buffer;
  error: ConnectError | undefined;
};

const TYPES: Record<Dialect, string> = {
  grpc: 'application/grpc+proto',
  connect: 'application/proto',
  'connect json': 'application/json',
  'connect http/2': 'application/proto',
  'grpc-web': 'application/grpc-web+proto',
};

export const isConnect = (dialect: Dialect) => dialect.startsWith('connect');

/** The header that names a compression in a dialect. */
export const encodingHeader = (dialect: Dialect) =>
  isConnect(dialect) ? 'content-encoding' : 'grpc-encoding';

export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Sends one unary call and reads its answer. */
export async function send(app: App, dialect: Dialect, sent: Sent): Promise<Got> {
  const headers = {
    'content-type': TYPES[dialect],
    ...(dialect === 'grpc' ? { te: 'trailers' } : {}),
    ...sent.headers,
  };
  const body = bodyOf(dialect, sent);
  const address = dialect === 'grpc' ? app.grpcAddress : app.httpAddress;
  const exchange = dialect === 'grpc' || dialect === 'connect http/2' ? exchange2 : exchange1;
  const got = await exchange(address, pathOf(sent.method), headers, body, sent.from);
  return { ...got, error: errorOf(dialect, got) };
}

function bodyOf(dialect: Dialect, { method, body, flags, raw }: Sent): Uint8Array {
  const bytes = body instanceof Uint8Array ? body : encode(dialect, method, body);
  return isConnect(dialect) || raw ? bytes : encodeEnvelope(flags ?? 0, bytes);
}

/** A message as the dialect writes it, without an envelope. */
export function encode(dialect: Dialect, method: DescMethod, message: Message): Uint8Array {
  return dialect === 'connect json'
    ? Buffer.from(toJsonString(method.input, message))
    : toBinary(method.input, message);
}

type Exchanged = { status: number; header: Headers; body: Buffer };

function exchange1(
  address: string,
  path: string,
  headers: HeaderFields,
  body: Uint8Array,
  localAddress?: string,
): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      headers,
      agent: false,
      ...(localAddress && { localAddress }),
    };
    const request = request1(`http://${address}${path}`, options);
    request.once('error', reject);
    request.once('response', (response) => {
      // A refused body is not read to its end: writing it may fail, which no longer matters.
      request.removeAllListeners('error').on('error', () => {});
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0, headers, trailers } = response;
        resolve({ status, header: headersOf(headers, trailers), body: Buffer.concat(chunks) });
        request.destroy();
      });
    });
    request.end(body);
  });
}

/** Sends a request to a path of the gRPC listener, as it is. */
export async function sendGrpc(app: App, path: string, body: Uint8Array): Promise<Got> {
  const headers = { 'content-type': TYPES.grpc, te: 'trailers' };
  const got = await exchange2(app.grpcAddress, path, headers, body);
  return { ...got, error: errorOf('grpc', got) };
}

async function exchange2(
  address: string,
  path: string,
  headers: HeaderFields,
  body: Uint8Array,
  localAddress?: string,
): Promise<Exchanged> {
  const { hostname: host, port } = new URL(`http://${address}`);
  const to = { host, port: Number(port), ...(localAddress && { localAddress }) };
  const session = connect(`http://${address}`, {
    createConnection: () => connectTcp(to),
    maxSendHeaderBlockLength: 1 << 20,
  });
  try {
    return await exchangeOn(session, path, headers, body);
  } finally {
    session.destroy();
  }
}

/** Sends one request on an HTTP/2 session and reads its answer. */
async function exchangeOn(
  session: ClientHttp2Session,
  path: string,
  headers: HeaderFields,
  body: Uint8Array,
): Promise<Exchanged> {
  const request = { ':method': 'POST', ':path': path, ...headers };
  const stream = session.request(request, { endStream: false });
  const chunks: Buffer[] = [];
  let received: Headers2 = {};
  let trailers: Headers2 = {};
  stream.on('response', (each) => {
    received = each;
  });
  stream.on('trailers', (each) => {
    trailers = each;
  });
  stream.on('data', (chunk) => chunks.push(chunk));
  session.on('error', (error) => stream.destroy(error));
  stream.end(body);
  await once(stream, 'close');
  const status = Number(received[':status'] ?? 0);
  return { status, header: headersOf(received, trailers), body: Buffer.concat(chunks) };
}

function headersOf(...all: (IncomingHttpHeaders | Headers2)[]): Headers {
  const result = new Headers();
  for (const headers of all) {
    for (const [name, value] of Object.entries(headers)) {
      if (!name.startsWith(':') && value !== undefined) result.set(name, String(value));
    }
  }
  return result;
}

function errorOf(dialect: Dialect, { status, header, body }: Exchanged): ConnectError | undefined {
  if (dialect === 'grpc') return findTrailerError(header);
  if (dialect === 'grpc-web') return findTrailerError(trailersOf(body));
  if (status === 200) return undefined;
  const fallback = new ConnectError(`HTTP ${status}`, Code.Unknown);
  return errorFromJsonBytes(body, undefined, fallback);
}

/** The trailers of a gRPC-Web answer: its last frame. */
function trailersOf(body: Buffer): Headers {
  let at = 0;
  while (at + 5 <= body.length) {
    const length = body.readUInt32BE(at + 1);
    if (body[at] === 0x80) return trailerParse(body.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return new Headers({ 'grpc-status': String(Code.Unknown), 'grpc-message': 'no trailers' });
}
