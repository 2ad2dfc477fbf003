import { type Line, oddCall } from './calls.ts';
import type { Random } from './random.ts';

const VERBS = [
  ...['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PRI', 'M-SEARCH', 'post'],
  ...['', 'X', 'POST ', '\tPOST', 'P\0ST', 'P'.repeat(3000), 'QUERY', 'PROPFIND', '\u00ff'],
];
const TARGETS = [
  ...['/healthz', '/readyz', '/livez', '/', '/.well-known/jwks.json', '/verify-email', '*', ''],
  ...['/.well-known/openid-configuration', 'http://localhost/healthz', 'http://[/', '//', 'a:80'],
  ...['/%00', '/\u00ff', '/a b', '/#', '/?a=b', `/${'a'.repeat(9000)}`, '/../..', '\\', '/\0'],
];
const VERSIONS = [
  ...[
    'HTTP/1.0',
    'HTTP/0.9',
    'HTTP/2.0',
    'HTTP/9.9',
    'HTTP/1.2',
    'http/1.1',
    'HTTP/1',
    'HTTP/1.1 ',
  ],
  ...['', 'HTP/1.1', 'HTTP/1.1\t', 'HTTP/11', 'ICE/1.0', 'HTTP/1.1x', 'RTSP/1.0'],
];
const ENDS = ['\n', '\r', '\r\r\n', '\n\r', '\r\n ', '\r\n\t', '\0\r\n', ''];
const ODD_NAMES = ['X ', ' X', 'X\t', 'X\0', '', '\u00ff', 'X'.repeat(9000), '(x)', 'X Y', '"X"'];
const ODD_VALUES = [
  '',
  ' ',
  '\0',
  '\u0001',
  '\u007f',
  '\u00ff',
  'x'.repeat(17_000),
  'a\rb',
  'a\nb',
];
/** Names that mean something to a parser or a proxy, with what may be doubled or contradict. */
const LINES: Record<string, readonly string[]> = {
  'Content-Length': [
    '0',
    '1',
    '5',
    '70000',
    '-1',
    '+5',
    '0x5',
    '5 5',
    '5,5',
    '',
    '1e1',
    '9'.repeat(30),
  ],
  'Transfer-Encoding': [
    ...['chunked', 'Chunked', 'gzip', 'identity', 'chunked, chunked', 'gzip, chunked', 'xchunked'],
    ...[
      'chunked, identity',
      ' chunked',
      '\tchunked',
      'chunked ;x',
      'chun\u00ffked',
      '',
      'chunked\0',
    ],
  ],
  Host: ['localhost', 'a', '', '[', 'a b', 'x:99999', 'a/b', 'a@b', '127.0.0.1:1, b', '\u00ff'],
  Connection: ['close', 'keep-alive', 'upgrade', 'close, keep-alive', 'x', '', 'Content-Length'],
  Upgrade: ['h2c', 'websocket', 'HTTP/2.0', 'x', '', 'h2c, websocket'],
  'HTTP2-Settings': ['AAMAAABkAAQAAP__', 'x', ''],
  Expect: ['100-continue', '100-CONTINUE', 'x', '', '100-continue, x'],
  'Content-Encoding': ['gzip', 'br', 'x', 'gzip, gzip', ''],
  TE: ['trailers', 'gzip', 'x', ''],
  Trailer: ['Content-Length', 'x', ''],
  Range: ['bytes=0-1', 'bytes=9-1', 'x'],
  'Keep-Alive': ['timeout=1', 'x'],
  'If-None-Match': ['*', '"x"', 'x'],
};

const crlf = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');

/** The start of a request with what follows from it alone: no body. */
export function head(verb: string, target: string, lines: readonly Line[]): Buffer {
  const fields = lines.map(([name, value]) => `${name}: ${value}`);
  return latin1(crlf([`${verb} ${target} HTTP/1.1`, 'Host: localhost', ...fields, '']));
}

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A call as Connect or gRPC-Web would make it, but for what is odd in it. */
export function call(random: Random): Buffer {
  const { path, lines, body } = oddCall(random, 'http');
  if (random.chance(0.2)) {
    const chunked = Buffer.concat(
      random
        .pieces(body, random.between(1, 4))
        .filter(({ length }) => length > 0)
        .map(chunk),
    );
    return Buffer.concat([
      head('POST', path, [...lines, ['Transfer-Encoding', 'chunked']]),
      chunked,
      latin1('0\r\n\r\n'),
    ]);
  }
  const length = random.chance(0.95) ? body.length : random.below(200);
  return Buffer.concat([head('POST', path, [...lines, ['Content-Length', String(length)]]), body]);
}

export function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([latin1(`${bytes.length.toString(16)}\r\n`), bytes, latin1('\r\n')]);
}

/** Something is odd in the first line, the ends of lines, or the fields. */
export function oddRequest(random: Random): Buffer {
  const or = (usual: string, others: readonly string[], part = 0.8) =>
    random.chance(part) ? usual : random.pick(others);
  const { path, lines, body } = oddCall(random, 'http');
  const verb = or('POST', VERBS, 0.5);
  const target = or(path, TARGETS, 0.5);
  const first = `${verb} ${target} ${or('HTTP/1.1', VERSIONS)}`;
  const fields = [...lines, ...random.times(random.below(4), () => oddLine(random))];
  if (random.chance(0.03)) fields.push(...random.times(300, (i): Line => [`X-${i}`, 'y']));
  const colon = or(': ', [':', ' : ', '', ' ', ':\t', '::'], 0.95);
  const text = [first, `Host: ${or('localhost', LINES['Host'] ?? [])}`]
    .concat(fields.map(([name, value]) => name + colon + value))
    .map((line) => line + or('\r\n', ENDS, 0.97))
    .join('');
  return Buffer.concat([latin1(text + or('\r\n', ENDS, 0.95)), body]);
}

function oddLine(random: Random): Line {
  if (random.chance(0.8)) {
    const name = random.pick(Object.keys(LINES));
    return [name, random.pick(LINES[name] ?? [])];
  }
  return [random.pick(['X', ...ODD_NAMES]), random.pick(ODD_VALUES)];
}
