/** Numbers that look random and are the same for the same seed. */
export class Random {
  #state: number;

  /** The generator of one scenario of a run, whatever the others have drawn. */
  constructor(seed: number, scenario: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(scenario + 1, 0x85ebca6b)) >>> 0 || 1;
    for (let skipped = 0; skipped < 8; skipped += 1) this.#next();
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor((this.#next() / 2 ** 32) * bound);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in that part of all cases. */
  chance(part: number): boolean {
    return this.#next() < part * 2 ** 32;
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T;
  }

  /** As many as requested, each made separately. */
  times<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }

  bytes(length: number): Buffer {
    return Buffer.from(this.times(length, () => this.below(256)));
  }

  /** A few, and once in a hundred times many: what takes long must not be what happens all the time. */
  some(few: number, many: number): number {
    return this.between(1, this.chance(0.01) ? many : few);
  }

  /** In pieces, of which some may be empty. */
  pieces(bytes: Buffer, count: number): Buffer[] {
    const ends = this.times(count - 1, () => this.below(bytes.length + 1)).sort((a, b) => a - b);
    return [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
  }

  /** Xorshift with 32 bits. */
  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }
}
