import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Finding } from '../../src/doctor/finding.ts';
import { atEnd } from '../harness/at-end.ts';
import { runCommand } from '../harness/command.ts';
import { MASTER_KEY } from '../harness/prepared.ts';

type Examined = {
  code: number;
  text: string;
  status: string;
  findings: Finding[];
  codes: string[];
};

/** What `countersign doctor` says with these variables. */
export async function doctor(env: Record<string, string>): Promise<Examined> {
  const all = { COUNTERSIGN_MASTER_KEY: MASTER_KEY, ...env };
  const { code, text } = await runCommand(['doctor', '--json'], all);
  assert.match(text, /^\{"status"/, text);
  const { status, findings } = JSON.parse(text);
  return { code, text, status, findings, codes: findings.map((each: Finding) => each.code) };
}

/** Whether a code is among those found; if not, says which are. */
export function assertFound({ text, codes }: Examined, ...wanted: string[]): void {
  for (const code of wanted) assert.ok(codes.includes(code), `${code} in ${text}`);
}

/** A server that does with its connections what a test says. Returns its address. */
export async function peer(serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Accepts connections, and never says anything. */
export const silent = () => peer(() => {});
