import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Flood, METHOD } from './flood.ts';

const LOGIN = '/countersign.v1.AuthService/Login';
const CREDENTIALS = JSON.stringify({ email: 'a@example.com', password: 'correct horse battery' });
const CONNECTIONS = 50;
/** A body over the limit, as one chunk, without the last chunk. */
const LONG_CHUNK = `11170\r\n${'x'.repeat(0x11170)}\r\n`;
/** Longer than the first answer takes. */
const SLOW_MS = 2000;

/** The same threat as by HTTP/2, where requests come one behind the other. */
export const OVER_HTTP1: readonly Flood[] = [
  {
    title: 'requests follow one that is refused, whose answer waits for a slow one',
    attack: ({ ways }) => followRefusal(ways.at(-1)?.[0] ?? ''),
    isSameByAllPaths: true,
  },
];

async function followRefusal(address: string): Promise<void> {
  const slow = request(LOGIN, `content-length: ${CREDENTIALS.length}`, CREDENTIALS);
  const refused = request(METHOD, 'transfer-encoding: chunked', LONG_CHUNK);
  const large = `x-a: ${'v'.repeat(15_000)}\r\ncontent-length: 2`;
  const following = `0\r\n\r\n${request(METHOD, large, '{}').repeat(500)}`;
  const [host = '', port] = address.split(':');
  const sockets = Array.from({ length: CONNECTIONS }, () => connect(Number(port), host));
  for (const socket of sockets) socket.on('error', () => {}).resume();
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) socket.write(slow + refused);
  await sleep(20);
  for (const socket of sockets) socket.write(following);
  const taken = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  await Promise.race([Promise.all(taken), sleep(SLOW_MS)]);
  for (const socket of sockets) socket.destroy();
}

function request(path: string, fields: string, body: string): string {
  const type = 'content-type: application/json';
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${type}\r\n${fields}\r\n\r\n${body}`;
}
