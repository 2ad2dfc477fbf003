import { RevocationLog } from './revocation-log.ts';
import { RevocationSet } from './revocation-set.ts';
import type { RecordedRevocation } from './revocation-target.ts';

const SWEEP_MS = 5000;

/** The revocations in force, as a replica knows them: for token checks and for watchers. */
export class RevocationMemory {
  readonly set = new RevocationSet();
  readonly log = new RevocationLog();
  #sweptAt = Number.NEGATIVE_INFINITY;

  /**
   * Adds what a look found, and forgets what has expired by `nowMs`. Returns what is new of it.
   */
  take(found: readonly RecordedRevocation[], nowMs: number): RecordedRevocation[] {
    const fresh = found.filter((each) => this.log.add(each));
    for (const { target, expiresAt } of fresh) this.set.add(target, expiresAt.getTime());
    this.#sweep(nowMs);
    return fresh;
  }

  #sweep(nowMs: number): void {
    if (performance.now() - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = performance.now();
    this.set.forgetExpired(nowMs);
    this.log.forgetExpired(nowMs);
  }
}
