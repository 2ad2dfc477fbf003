import type { Hold } from './caller-connection.ts';

const FIRST_BYTES = 512;
const NOTHING = Buffer.alloc(0);

/**
 * Bytes that come in pieces, in one buffer. A list of the pieces would cost hundreds of bytes for each,
 * and each would keep alive everything that was read from the socket with it (W15).
 */
export class GatheredBytes {
  readonly #hold: Hold | undefined;
  #buffer: Buffer = NOTHING;
  #length = 0;

  constructor(hold: Hold | undefined) {
    this.#hold = hold;
  }

  get length(): number {
    return this.#length;
  }

  /** What is there, until more comes. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** `expected` is how much there will be if its sender tells the truth, and no more than is allowed. */
  add(piece: Uint8Array, expected = 0): void {
    const needed = this.#length + piece.length;
    if (needed > this.#buffer.length) this.#grow(needed, expected);
    this.#buffer.set(piece, this.#length);
    this.#length = needed;
  }

  /** Takes the first `length` bytes away. */
  take(length: number): Buffer {
    if (length === this.#length) return this.#takeAll();
    const taken = Buffer.from(this.#buffer.subarray(0, length));
    this.#buffer.copyWithin(0, length, this.#length);
    this.#length -= length;
    return taken;
  }

  #takeAll(): Buffer {
    const taken = this.bytes;
    this.#hold?.add(-this.#buffer.length);
    this.#buffer = NOTHING;
    this.#length = 0;
    return taken;
  }

  /**
   * Doubles, and makes room for everything only near the end: a sender that declares much and sends
   * little gets little.
   */
  #grow(needed: number, expected: number): void {
    const double = Math.max(FIRST_BYTES, 2 * needed);
    const size = expected >= needed && expected <= double ? expected : double;
    const larger = Buffer.allocUnsafe(size);
    this.bytes.copy(larger);
    this.#hold?.add(size - this.#buffer.length);
    this.#buffer = larger;
  }
}
