import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { type Refusal, refusal } from '../harness/refusal.ts';
import type { TcpProxy } from '../tcp-proxy.ts';

/** What happens to a dependency, and for how long (ms). */
export type Fault = {
  name: string;
  ms: number;
  begin(proxy: TcpProxy): void;
  /** Whether what the service asks is answered, later than usual. */
  isLate?: true;
  /** Whether what is on its way when the fault ends has to be given up first. */
  isLost?: true;
};

export const FAULTS: readonly Fault[] = [
  { name: 'killed', ms: 3000, begin: (proxy) => proxy.down() },
  ...[3, 12, 40].map((seconds) => ({
    name: `frozen for ${seconds} s`,
    ms: seconds * 1000,
    begin: (proxy: TcpProxy) => proxy.freeze(),
  })),
  {
    name: '300 ms late',
    ms: 4000,
    begin: (proxy) => proxy.delay(300),
    isLate: true,
  },
  { name: 'in a black hole', ms: 4000, begin: (proxy) => proxy.lose(), isLost: true },
  { name: 'reset', ms: 3000, begin: (proxy) => proxy.reset() },
  { name: 'cut after 100 bytes', ms: 3000, begin: (proxy) => proxy.cutAfter(100) },
];

/** Why `npm test` leaves most of them out: other tests try what is like them, in less time. */
export const LONG = 'npm run test:long tries it';

/** What a call that could not be made says: that it may be made again, and when. */
export function assertAway({ code, reason, retryAfterMs, message }: Refusal): void {
  assert.match(
    `${Code[code]} ${reason}`,
    /^(Unavailable DEPENDENCY_UNAVAILABLE|ResourceExhausted OVERLOADED)$/,
    message,
  );
  assert.ok(retryAfterMs !== undefined && retryAfterMs > 0);
}

/** What was seen of one kind of call: how long each took (ms), and how those ended that failed. */
export class Calls {
  readonly durations: number[] = [];
  readonly refusals: Refusal[] = [];

  /** Makes a call. Returns its answer, or undefined if it was refused. */
  async make<T>(call: () => Promise<T>): Promise<T | undefined> {
    const from = performance.now();
    const made = call();
    try {
      return await made;
    } catch {
      this.refusals.push(await refusal(made));
      return undefined;
    } finally {
      this.durations.push(performance.now() - from);
    }
  }

  get median(): number {
    return this.durations.toSorted((a, b) => a - b)[this.durations.length >> 1] ?? 0;
  }
}

/** Does `work` no more often than every `ms`: calls are counted, and limits hold all the time. */
export function every(ms: number, work: () => Promise<unknown>): () => Promise<unknown> {
  let dueAt = 0;
  return async () => {
    if (performance.now() < dueAt) return;
    dueAt = performance.now() + ms;
    await work();
  };
}

/** Repeats `work` while the fault lasts, and then sets the proxy right. Returns when it did. */
export async function during(
  { begin, ms }: Fault,
  proxy: TcpProxy,
  ...works: (() => Promise<unknown>)[]
): Promise<number> {
  begin(proxy);
  let isOver = false;
  const loops = works.map(async (work) => {
    while (!isOver) {
      await work();
      await sleep(20);
    }
  });
  await Promise.race([sleep(ms), Promise.all(loops)]);
  proxy.open();
  const openedAt = performance.now();
  isOver = true;
  await Promise.all(loops);
  return openedAt;
}

/**
 * Waits until everything works again. The promise is two seconds; a machine that is busy gets as much
 * more as it needs for the same without a fault (`quietMs`), several times.
 */
export async function wholeAgain(
  openedAt: number,
  quietMs: number,
  isWhole: () => Promise<boolean>,
): Promise<void> {
  while (!(await isWhole())) {
    const ms = performance.now() - openedAt;
    assert.ok(ms < 2000 + 20 * quietMs, `not whole after ${Math.round(ms)} ms`);
    await sleep(20);
  }
}
