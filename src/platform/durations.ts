import { labelsOf } from './counts.ts';

/** How often each range of durations was seen, and all of them together. */
export class Distribution {
  readonly labels: Readonly<Record<string, string>>;
  /** The upper ends of the ranges (s), ascending. The last range has none. */
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  note(seconds: number): void {
    const { bounds, counts } = this;
    let range = 0;
    while (range < bounds.length && seconds > (bounds[range] as number)) range += 1;
    counts[range] = (counts[range] as number) + 1;
    this.sum += seconds;
  }
}

/** Distributions by labels, in plain fields. */
export class Durations {
  readonly #names: readonly string[];
  readonly #bounds: readonly number[];
  readonly #all = new Map<string, Distribution>();

  constructor(bounds: readonly number[], ...names: readonly string[]) {
    this.#bounds = bounds;
    this.#names = names;
  }

  /** The distribution with these values of the labels, which must be few. */
  of(...values: readonly string[]): Distribution {
    const key = values.join('\0');
    const known = this.#all.get(key);
    if (known) return known;
    const made = new Distribution(labelsOf(this.#names, values), this.#bounds);
    this.#all.set(key, made);
    return made;
  }

  get all(): Iterable<Distribution> {
    return this.#all.values();
  }
}
