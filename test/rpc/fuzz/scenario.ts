import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { closed } from '../frames.ts';
import type { Random } from './random.ts';

/** What is written next, or a pause in milliseconds. */
export type Step = Uint8Array | number;

/** What one connection does. */
export type Scenario = {
  name: string;
  steps: Step[];
  /** False for a client that never reads. */
  reads: boolean;
  /** How it leaves: in the middle, having closed its side, or waiting for the service to close. */
  end: 'destroy' | 'reset' | 'end' | 'wait';
  /** How long it waits for the service to close. */
  waitMs: number;
};

const ENDS = ['destroy', 'reset', 'end', 'wait'] as const;

/** Some ways to write these bytes and to leave. */
export function scenario(random: Random, name: string, steps: readonly Step[]): Scenario {
  return {
    name,
    steps: random.chance(0.2) ? steps.flatMap((step) => slowly(random, step)) : [...steps],
    reads: random.chance(0.9),
    end: random.pick(ENDS),
    waitMs: random.between(5, 150),
  };
}

/** In a few pieces with pauses in between. */
function slowly(random: Random, step: Step): Step[] {
  if (typeof step === 'number' || random.chance(0.7)) return [step];
  const pieces = random.pieces(Buffer.from(step), random.between(2, 4));
  return pieces.flatMap((piece) => [piece, random.between(0, 10)]);
}

/** Plays a scenario on a new connection from one of our addresses. Returns what came back. */
export async function play(
  { steps, reads, end, waitMs }: Scenario,
  address: string,
  localAddress: string,
): Promise<Buffer> {
  const { hostname: host, port } = new URL(`http://${address}`);
  const socket = connect({ host, port: Number(port), localAddress });
  const over = closed(socket);
  const chunks: Buffer[] = [];
  socket.on('error', () => {});
  if (reads) socket.on('data', (chunk) => chunks.push(chunk));
  for (const step of steps) {
    if (socket.destroyed) break;
    if (typeof step === 'number') await Promise.race([sleep(step), over]);
    else if (socket.writable) socket.write(step);
  }
  // What was written may still wait in this process.
  const written = new Promise((resolve) => socket.write('', resolve));
  await Promise.race([written, over, sleep(waitMs)]);
  if (end === 'end') socket.end();
  if (end !== 'destroy') await Promise.race([over, sleep(waitMs)]);
  if (end === 'reset') socket.resetAndDestroy();
  else socket.destroy();
  await over;
  return Buffer.concat(chunks);
}
