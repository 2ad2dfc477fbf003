/** A value and its labels. */
export type Sample = { labels: Readonly<Record<string, string>>; value: number };

/** One count, for code that counts the same thing often: `count.value += 1`. */
export type Count = { value: number };

/**
 * How often things have happened since the start of this replica, by labels, in plain fields: who counts
 * does not pay for who reads.
 */
export class Counts {
  readonly #names: readonly string[];
  readonly #samples = new Map<string, Sample>();

  /** `names` are those of the labels. */
  constructor(...names: readonly string[]) {
    this.#names = names;
  }

  /** The count with these values of the labels, which must be few: never an id, an address or a URL. */
  of(...values: readonly string[]): Count {
    const key = values.join('\0');
    const known = this.#samples.get(key);
    if (known) return known;
    const labels = labelsOf(this.#names, values);
    const sample = { labels, value: 0 };
    this.#samples.set(key, sample);
    return sample;
  }

  add(...values: readonly string[]): void {
    this.of(...values).value += 1;
  }

  /** What has been counted. */
  get samples(): Iterable<Sample> {
    return this.#samples.values();
  }
}

export function labelsOf(names: readonly string[], values: readonly string[]) {
  return Object.fromEntries(names.map((name, place) => [name, values[place] ?? '']));
}
