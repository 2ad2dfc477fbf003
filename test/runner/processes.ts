import { execFileSync, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

type Process = { pid: number; parent: number; group: number; state: string; command: string };

/** How long what a file started may take to end after the file has. */
const LEAVING_MS = 1000;

/** Kills a process, everything in its group, and everything that descends from it. */
export function killTree(pid: number): void {
  const all = processes();
  const family = new Set([pid]);
  // Parents stand anywhere in the list, so go over it until nothing is added.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const each of all) if (family.has(each.parent)) family.add(each.pid);
  }
  kill(-pid);
  for (const member of family) kill(member);
}

/** Kills what is left of the group of a process that has ended, and returns its commands. */
export async function killLeftovers(group: number): Promise<string[]> {
  for (const end = Date.now() + LEAVING_MS; Date.now() < end; await sleep(50)) {
    if (!exists(group)) return [];
  }
  const left = processes().filter((each) => each.group === group && !each.state.startsWith('Z'));
  kill(-group);
  return left.map(({ command }) => command);
}

function exists(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

function processes(): Process[] {
  const lines = execFileSync('ps', ['-Ao', 'pid=,ppid=,pgid=,stat=,command='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return lines.split('\n').flatMap((line) => {
    const [, pid, parent, group, state = '', command = ''] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), state, command }];
  });
}

/**
 * A second process that kills what the runner started if the runner goes away without doing so, even by
 * SIGKILL: it reads from a pipe that the system then closes.
 */
export class Watchman {
  readonly #watched = new Set<number>();
  readonly #shell = spawn(
    'sh',
    ['-c', 'while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -s KILL -- $pids'],
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );

  /** A negative number is a process group. */
  watch(pid: number): void {
    this.#watched.add(pid);
    this.#tell();
  }

  forget(pid: number): void {
    this.#watched.delete(pid);
    this.#tell();
  }

  stop(): void {
    this.#watched.clear();
    this.#tell();
    this.#shell.stdin.end();
  }

  #tell(): void {
    this.#shell.stdin.write(`${[...this.#watched].join(' ')}\n`);
  }
}
