import type { Hold } from './caller-connection.ts';

const FIRST_BYTES = 512;
const NOTHING = Buffer.alloc(0);
/** Smaller ones come from the memory that Node shares out. */
const OWN_BYTES = 4096;

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

  /** Gives up what is there, which nobody has taken. */
  drop(): void {
    const dropped = this.#buffer;
    this.#takeAll();
    free(dropped);
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
    const larger = allocate(size);
    this.bytes.copy(larger);
    this.#hold?.add(size - this.#buffer.length);
    free(this.#buffer);
    this.#buffer = larger;
  }
}

/** A large piece of the memory that Node shares out would keep 64 KB of it. */
function allocate(size: number): Buffer {
  return size < OWN_BYTES ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
}

/** Gives memory back at once. The collector takes its time, in which callers fill more. */
function free({ buffer, length }: Buffer): void {
  if (length >= OWN_BYTES && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
