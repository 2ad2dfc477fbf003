import type { Hold } from '../caller-connection.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import { declaredBytes, PREFIX_BYTES } from './framing.ts';

/** What happens to the bytes that a decoder does not take. */
type Uses = {
  /** Called once, when a message begins that is too large; nothing is read after that. */
  refuse: () => void;
  /** Takes the bytes after a message, which must come again once the message has been read. */
  giveBack: (rest: Buffer) => void;
};

/**
 * Replaces the decoder that grpc-js reads requests with. It keeps no list of pieces, and returns one
 * message at a time: grpc-js decompresses all messages that it gets at once, and one frame can hold
 * thousands of 5 bytes.
 */
export class MessageDecoder {
  readonly #maxBytes: number;
  readonly #uses: Uses;
  readonly #begun: GatheredBytes;
  #isRefused = false;

  /** Messages of more than `maxBytes` are too large. */
  constructor(maxBytes: number, hold: Hold | undefined, uses: Uses) {
    this.#maxBytes = maxBytes;
    this.#uses = uses;
    this.#begun = new GatheredBytes(hold);
  }

  /** Whether a message has begun to come, and its rest has not. */
  get isWithinMessage(): boolean {
    return this.#begun.length > 0;
  }

  /** Returns the message that is complete with `piece`, with its prefix, if there is one. */
  write(piece: Buffer): Buffer[] {
    let rest = piece;
    while (rest.length > 0 && !this.#isRefused) {
      const taken = this.#missing(rest);
      this.#begun.add(rest.subarray(0, taken), this.#expected());
      rest = rest.subarray(taken);
      this.#check();
      if (this.#isRefused || this.#begun.length < this.#expected()) continue;
      if (rest.length > 0) this.#uses.giveBack(rest);
      return [this.#begun.take(this.#begun.length)];
    }
    return [];
  }

  /** How much of `rest` belongs to the part of the message that is being read: its prefix, or the rest. */
  #missing(rest: Buffer): number {
    const end = this.#begun.length < PREFIX_BYTES ? PREFIX_BYTES : this.#expected();
    return Math.min(rest.length, end - this.#begun.length);
  }

  /**
   * The length of the message with its prefix once the prefix has arrived; until then that of the
   * prefix.
   */
  #expected(): number {
    const { bytes } = this.#begun;
    return bytes.length < PREFIX_BYTES ? Infinity : PREFIX_BYTES + declaredBytes(bytes);
  }

  #check(): void {
    if (declaredBytes(this.#begun.bytes) <= this.#maxBytes) return;
    this.#isRefused = true;
    this.#uses.refuse();
  }
}
