import { setImmediate as turn } from 'node:timers/promises';
import { callHeaders, DATA, END_HEADERS, END_STREAM, frame, HEADERS, SETTINGS } from '../frames.ts';
import { type Flood, NO_WINDOW, strange, type Target } from './flood.ts';

const FORM = 'application/x-www-form-urlencoded';
const PATHS = ['/oauth2/introspect', '/oauth2/token', '/oauth2/revoke'] as const;
/** All but the end of the longest form. */
const BEGUN = Buffer.from(`grant_type=client_credentials&token=${'x'.repeat(8000)}`);
const SHORT = Buffer.from('grant_type=client_credentials&token=x');
/** As many as fit into what a connection may be sent at first: 64 KB. */
const STREAMS_OF_FORMS = 8;

/** Forms of strangers, slowly, many, and with answers that nobody takes. */
export const OAUTH: readonly Flood[] = PATHS.flatMap((path) => [
  flood(path, 'forms are begun and never end', begin),
  flood(path, 'forms are begun on a great many connections and never end', beginOnMany),
  flood(path, 'forms are begun over HTTP/1.1 and never end', beginHttp1),
  flood(path, 'forms come a byte at a time', sendByBytes),
  flood(path, 'answers are not taken, on many connections', leaveAnswers(60, 190)),
  flood(path, 'answers are not taken, on one connection', leaveAnswers(1, 12_000)),
  flood(path, 'answers are not taken over HTTP/1.1', leaveAnswersHttp1),
]);

/** The one that `npm test` runs. */
export const isUsualOauth = ({ title }: Flood) => title === OAUTH[0]?.title;

function flood(
  path: string,
  what: string,
  attack: (target: Target, address: string, path: string) => Promise<void>,
): Flood {
  return {
    title: `${what}: ${path}`,
    attack: (target) => attack(target, target.ways.at(-1)?.[0] ?? '', path),
    isSameByAllPaths: true,
  };
}

async function begin({ connect }: Target, address: string, path: string): Promise<void> {
  const block = callHeaders(path, strange(FORM));
  for (let connection = 0; connection < 300; connection += 1) {
    const raw = await connect(address);
    for (let stream = 1; stream < 2 * STREAMS_OF_FORMS; stream += 2) {
      raw.write(frame(HEADERS, END_HEADERS, stream, block));
      raw.write(frame(DATA, 0, stream, BEGUN));
    }
  }
}

/** As many connections as strangers may have, and nobody waits for what the service says. */
async function beginOnMany({ connectDeaf }: Target, address: string, path: string): Promise<void> {
  const block = callHeaders(path, strange(FORM));
  for (let connection = 0; connection < 1500; connection += 1) {
    const raw = await connectDeaf(address);
    for (let stream = 1; stream < 2 * STREAMS_OF_FORMS; stream += 2) {
      raw.write(frame(HEADERS, END_HEADERS, stream, block));
      raw.write(frame(DATA, 0, stream, BEGUN));
    }
  }
}

async function beginHttp1({ connectSilent }: Target, address: string, path: string) {
  for (let connection = 0; connection < 4000; connection += 1) {
    const raw = await connectSilent(address);
    raw.write(Buffer.concat([http1(path, BEGUN.length + 100), BEGUN]));
    if (connection % 50 === 0) await turn();
  }
}

async function sendByBytes({ connect }: Target, address: string, path: string): Promise<void> {
  const raw = await connect(address);
  const streams = Array.from({ length: 100 }, (_, index) => 2 * index + 1);
  for (const stream of streams) raw.call(stream, path, strange(FORM));
  const bytes = Buffer.concat(streams.map((each) => frame(DATA, 0, each, Buffer.from('x'))));
  for (let count = 0; count < 2000; count += 1) {
    raw.write(bytes);
    if (count % 20 === 0) await turn();
  }
}

function leaveAnswers(connections: number, streams: number) {
  return async ({ connect }: Target, address: string, path: string): Promise<void> => {
    for (let connection = 0; connection < connections; connection += 1) {
      const raw = await connect(address);
      raw.write(frame(SETTINGS, 0, 0, NO_WINDOW));
      for (let stream = 1; stream < 2 * streams; stream += 2) {
        raw.call(stream, path, strange(FORM));
        raw.write(frame(DATA, END_STREAM, stream, SHORT));
        if (stream % 401 === 0) await turn();
      }
    }
  };
}

/** The client reads nothing, so that answers fill the buffers of the connection. */
async function leaveAnswersHttp1({ connectSilent }: Target, address: string, path: string) {
  const one = Buffer.concat([http1(path, SHORT.length), SHORT]);
  const many = Buffer.concat(Array.from({ length: 500 }, () => one));
  for (let connection = 0; connection < 100; connection += 1) {
    const raw = await connectSilent(address);
    raw.stopReading();
    for (let round = 0; round < 20; round += 1) raw.write(many);
    await turn();
  }
}

function http1(path: string, length: number): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    'host: localhost',
    `content-type: ${FORM}`,
    'authorization: Bearer nonsense',
    `content-length: ${length}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}
