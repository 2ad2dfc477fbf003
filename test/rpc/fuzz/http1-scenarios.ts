import { call, chunk, head, latin1, oddRequest } from './http1-requests.ts';
import type { Random } from './random.ts';
import { altered, type Recorded } from './recorded.ts';
import { type Scenario, type Step, scenario } from './scenario.ts';

const METHOD = '/countersign.v1.SessionService/IntrospectToken';
const JSON_TYPE = ['Content-Type', 'application/json'] as const;
const BODY = '{"token":"x"}';
/** Would be answered, if it were taken for a request. */
const SMUGGLED = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ';
const CHUNK_SIZES = [
  ...['d', 'D', '0d', '000000000000000000000d', 'd;x', 'd;x="y"', 'd ', ' d', '0xd', '+d', '-1'],
  ...[
    'ffffffffffffffff',
    '7fffffffffffffff',
    '10000000000000000d',
    'x',
    '',
    'd\t',
    'd;\u00ff',
    'd\0',
  ],
];
const OBFUSCATED = [
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding:chunked '],
  ...['Transfer-Encoding:\tchunked', 'Transfer-Encoding: xchunked', ' Transfer-Encoding: chunked'],
  ...['Transfer-Encoding: chunked\r\nTransfer-Encoding: x', 'X: y\nTransfer-Encoding: chunked'],
  ...[
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding:\r\n chunked',
    'Transfer_Encoding: chunked',
  ],
  ...['Transfer-Encoding: "chunked"', 'Transfer-Encoding\0: chunked', 'transfer-encoding: CHUNKED'],
];

type Make = (random: Random, recorded: Recorded) => Step[];

const SCENARIOS: Record<string, Make> = {
  calls: (random) => random.times(random.between(1, 4), () => call(random)),
  'odd requests': (random) => random.times(random.between(1, 3), () => oddRequest(random)),
  'odd chunks': (random) => {
    const end = random.pick(['\r\n', '\r\n', '\n', '\r', '', 'xx']);
    const last = random.pick(['0', '0', '00', '0;x', '-0', '']);
    const trailers = random.pick(['', '', 'X: y\r\n', 'Content-Length: 5\r\n', ':\r\n', 'x', '\0']);
    const body = `${random.pick(CHUNK_SIZES)}${end}${BODY}${end}${last}${end}${trailers}${end}`;
    return [head('POST', METHOD, [JSON_TYPE, ['Transfer-Encoding', 'chunked']]), latin1(body)];
  },
  'many chunks': (random) => {
    const tiny = chunk(latin1('{'));
    const count = random.some(50, 1000);
    return [
      head('POST', METHOD, [JSON_TYPE, ['Transfer-Encoding', 'chunked']]),
      ...(random.chance(0.5)
        ? random.times(count, () => tiny)
        : [Buffer.concat(random.times(count, () => tiny))]),
    ];
  },
  'two requests or one': (random) => {
    const body = `0\r\n\r\n${SMUGGLED}`;
    const length = random.pick([body.length, 0, 5, body.length - 3, `${body.length}, 5`, '+5']);
    const lines = [`Content-Length: ${length}`, random.pick(OBFUSCATED)];
    if (random.chance(0.5)) lines.reverse();
    const text = `POST ${METHOD} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    return [latin1(`${text}${lines.join('\r\n')}\r\n\r\n${body}`), ...optional(random, call)];
  },
  'letter by letter': (random) => {
    const bytes = random.chance(0.5) ? call(random) : oddRequest(random);
    const some = bytes.subarray(0, random.between(1, 40));
    return [...[...some].flatMap((byte) => [Buffer.of(byte), 1]), bytes.subarray(some.length)];
  },
  'many at once': (random) => {
    const one = call(random);
    const all = random.times(random.some(10, 100), () => (random.chance(0.8) ? one : call(random)));
    return [Buffer.concat(all)];
  },
  upgrades: (random) => {
    const to = random.pick(['h2c', 'websocket', 'HTTP/2.0', 'TLS/1.0', '']);
    const lines = [
      ['Connection', random.pick(['upgrade', 'Upgrade, HTTP2-Settings', 'keep-alive, upgrade'])],
      ['Upgrade', to],
      ['HTTP2-Settings', random.pick(['AAMAAABkAAQAAP__', '', '!'])],
      ['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
    ] as const;
    const verb = random.pick(['GET', 'POST', 'CONNECT', 'OPTIONS']);
    const target = random.pick(['/healthz', METHOD, 'localhost:80', '*']);
    return [
      head(verb, target, lines),
      ...optional(random, () => latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')),
      ...optional(random, call),
    ];
  },
  'huge bodies and none': (random) => {
    const declared = random.pick([0, 1, 65_536, 65_537, 200_000, 50_000_000, 2 ** 53]);
    const sent = Math.min(declared, random.pick([0, 0, 1, 65_536, 300_000]));
    const type = random.pick(['application/json', 'application/connect+proto', 'text/plain']);
    const lines = [
      ['Content-Type', type],
      ['Content-Length', String(declared)],
    ] as const;
    return [head('POST', METHOD, lines), Buffer.alloc(sent, 'x'), ...optional(random, call)];
  },
  expectations: (random) => {
    const expected = random.pick(['100-continue', '100-continue', '100-Continue', 'x', '']);
    const lines = [
      JSON_TYPE,
      ['Expect', expected],
      ['Content-Length', String(BODY.length)],
    ] as const;
    const body = latin1(BODY);
    return [head('POST', METHOD, lines), random.between(0, 30), ...optional(random, () => body)];
  },
  'half a request': (random) => {
    const whole = random.chance(0.5) ? call(random) : oddRequest(random);
    return [whole.subarray(0, random.below(whole.length))];
  },
  'bytes of nobody': (random) => [
    random.pick([
      random.bytes(random.between(1, 300)),
      Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
      Buffer.alloc(20_000, random.pick(['x', '\r\n', '\0', ' '])),
      latin1('PR'),
    ]),
  ],
  'a good conversation, altered': (random, { http1 }) => altered(random, random.pick(http1)),
};

const NAMES = Object.keys(SCENARIOS);

export function http1Scenario(random: Random, recorded: Recorded): Scenario {
  const name = random.pick(NAMES);
  const make = SCENARIOS[name] as Make;
  return scenario(random, name, make(random, recorded));
}

function optional(random: Random, make: (random: Random) => Buffer): Step[] {
  return random.chance(0.5) ? [make(random)] : [];
}
