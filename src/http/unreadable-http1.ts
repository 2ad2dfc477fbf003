import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import type { NodeResponse } from '../rpc/connect/node-request.ts';
import { toConnectError } from '../rpc/errors.ts';
import { headersTooLarge } from '../rpc/failures.ts';
import { LINGER_MS, type Limits } from '../rpc/limits.ts';

/** The status of the answer to bytes that are no request, by the code of the error. */
const STATUSES: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The latest answer on a connection, as a property: a `WeakMap` would cost every request more. */
const ANSWER = Symbol('answer');
type Answering = Duplex & { [ANSWER]?: NodeResponse };

const refused = new WeakSet<Duplex>();

/** Remembers an answer, so that nothing is written in the middle of it. */
export function noteAnswer(socket: Duplex, answer: NodeResponse): void {
  (socket as Answering)[ANSWER] = answer;
}

/**
 * Answers bytes that are no request, as node does by default, except that the answer to headers over the
 * limit is that of a call, and names the limit.
 */
export function answerUnreadable(server: EventEmitter, limits: Limits): void {
  server.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket: Duplex) => {
    // The rest is unreadable too, and has been answered.
    if (refused.has(socket)) return;
    refused.add(socket);
    const status = statusOf(code);
    const answer = (socket as Answering)[ANSWER];
    const isAnswering = answer?.headersSent && !answer.writableFinished;
    if (!status || !socket.writable || isAnswering) return void socket.destroy();
    if (status !== 431) return void socket.end(head(status), () => socket.destroy());
    // Reads on for a moment: a connection that is closed with bytes unread loses the answer.
    socket.end(tooLarge(limits));
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  });
}

/**
 * Answers CONNECT, for which node would close the connection: to a proxy that asks with its client's
 * method, that is an outage (M02).
 */
export function refuseConnect(server: EventEmitter): void {
  server.on('connect', (_request: unknown, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    socket.end(head(405, { Allow: 'GET, POST' }), () => socket.destroy());
  });
}

/** Undefined if the connection itself has failed, or the TLS handshake on it. */
function statusOf(code: string): number | undefined {
  return STATUSES[code] ?? (code.startsWith('HPE_') ? 400 : undefined);
}

/** The error is in the headers as well, for gRPC-Web, whose clients don't read the body. */
function refusalOf(limits: Limits): { headers: Record<string, string>; body: Uint8Array } {
  const requestId = randomUUID();
  const error = toConnectError(headersTooLarge(limits), requestId);
  const body = errorToJsonBytes(error, undefined);
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': String(body.byteLength),
    'X-Request-Id': requestId,
    'Grpc-Status': String(error.code),
    'Grpc-Message': encodeURIComponent(error.rawMessage),
  };
  return { headers, body };
}

function tooLarge(limits: Limits): Buffer {
  const { headers, body } = refusalOf(limits);
  return Buffer.concat([Buffer.from(head(431, headers)), body]);
}

/** Answers a request that node has read, and that has more headers than a call may have. */
export function refuseManyHeaders(res: ServerResponse, limits: Limits): void {
  const { headers, body } = refusalOf(limits);
  res.writeHead(431, { ...headers, Connection: 'close' }).end(body);
}

function head(status: number, headers: Record<string, string> = {}): string {
  const fields = { ...headers, Connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`;
}
