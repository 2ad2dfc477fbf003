import type { NodeRequest, NodeResponse } from '../rpc/connect/node-request.ts';
import type { Limits } from '../rpc/limits.ts';
import { writeInPieces } from './in-pieces.ts';

/** The answer of an HTTP endpoint. */
export type Answer = {
  status: number;
  type: string;
  /** Bytes are written as fast as their caller takes them; text is written at once. */
  body: string | Buffer;
  headers?: Readonly<Record<string, string>>;
};

/** An HTTP endpoint, for GET and HEAD only. */
export type Endpoint = (req: NodeRequest) => Answer | Promise<Answer>;

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
} as const;

/** Serves endpoints by their path. */
export function sidecar(
  endpoints: ReadonlyMap<string, Endpoint>,
  limits: Pick<Limits, 'readerStallMs'>,
  onError: (error: unknown) => void,
): (req: NodeRequest, res: NodeResponse) => void {
  return (req, res) => {
    respond(endpoints, req).then(
      (answer) => send(req, res, answer, limits),
      (error) => {
        onError(error);
        send(req, res, json(500, { error: 'internal error' }), limits);
      },
    );
  };
}

async function respond(
  endpoints: ReadonlyMap<string, Endpoint>,
  req: NodeRequest,
): Promise<Answer> {
  const endpoint = endpoints.get((req.url ?? '').split('?', 1)[0] ?? '');
  if (!endpoint) return json(404, { error: 'not found' });
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    return { ...json(405, { error: 'method not allowed' }), headers: { allow: 'GET, HEAD' } };
  }
  return endpoint(req);
}

function send(
  req: NodeRequest,
  res: NodeResponse,
  answer: Answer,
  { readerStallMs }: Pick<Limits, 'readerStallMs'>,
): void {
  const { status, type, body, headers } = answer;
  if (res.headersSent || res.writableEnded) return;
  res.statusCode = status;
  const all = {
    ...SECURITY_HEADERS,
    'cache-control': 'no-store',
    ...headers,
    'content-type': type,
  };
  for (const [name, value] of Object.entries(all)) res.setHeader(name, value);
  // A 304 has no body: a length would be taken for that of the answer it stands for.
  if (status !== 304) res.setHeader('content-length', Buffer.byteLength(body));
  if (req.method === 'HEAD') res.end();
  else if (typeof body === 'string') res.end(body);
  else writeInPieces(req, res, body, readerStallMs);
}

/** A JSON answer. */
export function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` };
}
