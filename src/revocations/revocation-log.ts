import type { RecordedRevocation } from './revocation-target.ts';

/** A revocation, with its place in the order in which this replica saw them. */
export type SeenRevocation = RecordedRevocation & { seq: number };

/**
 * The revocations in force, in the order in which this replica saw them. Its watchers read it, each
 * from its own place; it is held once, however many they are and however slow.
 */
export class RevocationLog {
  #seen: SeenRevocation[] = [];
  readonly #rowIds = new Set<string>();
  #lastSeq = 0;

  /** The place of the newest revocation; 0 if there is none yet. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Adds a revocation and returns true, unless it was added before: looks at the table overlap. */
  add(revocation: RecordedRevocation): boolean {
    if (this.#rowIds.has(revocation.rowId)) return false;
    this.#rowIds.add(revocation.rowId);
    this.#lastSeq += 1;
    this.#seen.push({ ...revocation, seq: this.#lastSeq });
    return true;
  }

  /** The first revocation after a place. */
  after(seq: number): SeenRevocation | undefined {
    let low = 0;
    let high = this.#seen.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#seen[middle]?.seq ?? 0) > seq) high = middle;
      else low = middle + 1;
    }
    return this.#seen[low];
  }

  /** Forgets the revocations whose tokens have all expired. */
  forgetExpired(nowMs: number): void {
    const inForce = this.#seen.filter(({ expiresAt }) => expiresAt.getTime() > nowMs);
    if (inForce.length === this.#seen.length) return;
    for (const { rowId, expiresAt } of this.#seen) {
      if (expiresAt.getTime() <= nowMs) this.#rowIds.delete(rowId);
    }
    this.#seen = inForce;
  }
}
