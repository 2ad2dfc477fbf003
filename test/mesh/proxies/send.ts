import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

/** What a client sends, byte by byte. */
export type Sent = {
  method?: string;
  path?: string;
  /** As they stand, in order; a name may come again. Characters are bytes (latin1). */
  fields?: [name: string, value: string][];
  body?: string;
  version?: '1.0' | '1.1' | '2';
};

/** The answer; status 0 if the proxy only closed the connection, or reset the stream. */
export type Answer = { status: number; headers: Record<string, string>; body: string };

const NONE: Answer = { status: 0, headers: {}, body: '' };
const PATIENCE_MS = 60_000;
/** So that `authorization` can come twice. */
const HTTP2_OPTIONS = { settings: {}, strictSingleValueFields: false };

/** Sends a request to a port of this machine, on a connection of its own. */
export function send(port: number, sent: Sent): Promise<Answer> {
  return sent.version === '2' ? overHttp2(port, sent) : overHttp1(port, sent);
}

function overHttp1(port: number, sent: Sent): Promise<Answer> {
  const { method = 'GET', path = '/', fields = [], body = '', version = '1.1' } = sent;
  const has = (name: string) => fields.some(([each]) => each.toLowerCase() === name);
  const all: [string, string][] = [
    ['Host', 'service.test'],
    ...(has('connection') ? [] : [['Connection', 'close'] as [string, string]]),
    ...(body === '' ? [] : [['Content-Length', String(body.length)] as [string, string]]),
    ...fields,
  ];
  const head = all.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const bytes = Buffer.from(`${method} ${path} HTTP/${version}\r\n${head}\r\n${body}`, 'latin1');
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const done = (answer: Answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PATIENCE_MS, () => {
      socket.destroy();
      reject(new Error(`no whole answer to ${method} ${path}: ${text.slice(0, 500)}`));
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const answer = parse(text, false);
      if (answer) done(answer);
    });
    // What is refused before it has been read may be followed by a reset.
    socket.on('error', () => done(parse(text, true) ?? NONE));
    socket.on('end', () => done(parse(text, true) ?? NONE));
  });
}

/** Returns the answer if it is there as a whole; whatever there is, once nothing more will come. */
function parse(text: string, isOver: boolean): Answer | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const status = Number(first.split(' ')[1]);
  if (status === 100) return parse(text.slice(end + 4), isOver);
  const body = text.slice(end + 4);
  const isWhole =
    isOver ||
    status === 101 ||
    body.length >= Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) ||
    body.endsWith('0\r\n\r\n');
  return isWhole ? { status, headers, body } : undefined;
}

function overHttp2(port: number, sent: Sent): Promise<Answer> {
  const { method = 'GET', path = '/', fields = [], body = '' } = sent;
  return new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`, HTTP2_OPTIONS);
    const done = (answer: Answer) => {
      session.destroy();
      resolve(answer);
    };
    session.on('error', () => done(NONE));
    const fieldsOfRequest = [
      ...[':method', method, ':path', path, ':scheme', 'http', ':authority', 'service.test'],
      ...fields.flatMap(([name, value]) => [name.toLowerCase(), value]),
    ];
    const stream = session.request(fieldsOfRequest, { endStream: body === '' });
    let answer: Answer = { status: 0, headers: {}, body: '' };
    stream.on('response', (headers) => {
      const named = Object.entries(headers).map(([name, value]) => [name, String(value)]);
      answer = { ...answer, status: headers[':status'] ?? 0, headers: Object.fromEntries(named) };
    });
    stream.on('data', (chunk) => {
      answer.body += chunk.toString('latin1');
    });
    stream.on('error', () => done(answer));
    stream.on('close', () => done(answer));
    if (body !== '') stream.end(Buffer.from(body, 'latin1'));
  });
}
