import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `condition` holds: longer than it takes on the busiest machine. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(20)) {
    if (await condition()) return;
  }
  throw new Error(`not so within ${timeoutMs} ms`);
}
