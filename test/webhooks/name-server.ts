import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { atEnd } from '../harness/at-end.ts';

const A = 1;
const AAAA = 28;
const HEADER_BYTES = 12;
const SERVER_FAILURE = 2;

/**
 * A name server on UDP (RFC 1035). `answer` gives the addresses of a name each time it is asked for
 * them, or `broken` for a failure of the server. Returns where it listens.
 */
export async function startNameServer(
  answer: (name: string, family: 4 | 6) => readonly string[] | 'broken',
): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (query, { address, port }) => {
    socket.send(replyTo(query, answer), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  atEnd(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

function replyTo(query: Buffer, answer: Parameters<typeof startNameServer>[0]): Buffer {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(HEADER_BYTES, at + 5);
  const type = query.readUInt16BE(at + 1);
  const family = type === A ? 4 : 6;
  const known = answer(labels.join('.').toLowerCase(), family);
  const addresses = known === 'broken' ? [] : known;
  const records = addresses
    .filter((address) => isIPv4(address) === (family === 4))
    .map((address) => record(type === A ? A : AAAA, address));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(0x8180 | (known === 'broken' ? SERVER_FAILURE : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, question, ...records]);
}

/** An address record of the name in the question, which nobody may remember. */
function record(type: number, address: string): Buffer {
  const data = Buffer.from(ipaddr.parse(address).toByteArray());
  const head = Buffer.from([0xc0, HEADER_BYTES, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]);
  return Buffer.concat([head, data]);
}
