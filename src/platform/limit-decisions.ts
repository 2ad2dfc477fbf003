import { Counts, type Sample } from './counts.ts';

export const LIMIT_LABELS = ['policy', 'decision'] as const;

/** How often limits have let somebody through, and how often not. */
export class LimitDecisions {
  readonly #counts = new Counts(...LIMIT_LABELS);

  note(policy: string, isAllowed: boolean): void {
    this.#counts.add(policy, isAllowed ? 'allowed' : 'limited');
  }

  get samples(): Iterable<Sample> {
    return this.#counts.samples;
  }
}
