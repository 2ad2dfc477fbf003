import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** The arguments of node for a service whose memory is measured. */
export const COLLECTABLE = ['--expose-gc', '--import', './bench/service/collect-garbage.ts'];

const COLLECTIONS = 6;
const PAUSE_MS = 700;

/** The resident memory (MiB) of a service started with `COLLECTABLE`, once it holds no garbage. */
export async function settledMemory(pid: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < COLLECTIONS; round += 1) {
    process.kill(pid, 'SIGUSR2');
    await sleep(PAUSE_MS);
    least = Math.min(least, residentMemory(pid));
  }
  return least;
}

/** The resident memory (MiB) of a process. */
export function residentMemory(pid: number): number {
  const kib = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(kib) / 1024;
}

/** The resident memory (MiB) of all processes of a group, whose id is that of its first one. */
export function groupMemory(pgid: number): number {
  const all = execFileSync('ps', ['-A', '-o', 'pgid=,rss='], { encoding: 'utf8' });
  let kib = 0;
  for (const line of all.split('\n')) {
    const [group, rss] = line.trim().split(/\s+/).map(Number);
    if (group === pgid) kib += rss ?? 0;
  }
  return kib / 1024;
}
