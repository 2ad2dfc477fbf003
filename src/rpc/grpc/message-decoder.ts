import type { Hold } from '../caller-connection.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import { declaredBytes, PREFIX_BYTES } from './framing.ts';

/** What grpc-js reads the messages of a request with; ours keeps no list of pieces. */
export class MessageDecoder {
  readonly #maxBytes: number;
  readonly #refuse: () => void;
  readonly #begun: GatheredBytes;
  #isRefused = false;

  /** `refuse` is called once, when a message of more than `maxBytes` begins; nothing is read after that. */
  constructor(maxBytes: number, hold: Hold | undefined, refuse: () => void) {
    this.#maxBytes = maxBytes;
    this.#refuse = refuse;
    this.#begun = new GatheredBytes(hold);
  }

  /** Whether a message has begun to come, and its rest has not. */
  get isWithinMessage(): boolean {
    return this.#begun.length > 0;
  }

  /** Returns the messages that are complete with `piece`, each with its prefix. */
  write(piece: Buffer): Buffer[] {
    const complete: Buffer[] = [];
    let rest = piece;
    while (rest.length > 0 && !this.#isRefused) {
      const taken = this.#missing(rest);
      this.#begun.add(rest.subarray(0, taken), this.#expected());
      rest = rest.subarray(taken);
      this.#check();
      if (this.#begun.length === this.#expected())
        complete.push(this.#begun.take(this.#begun.length));
    }
    return this.#isRefused ? [] : complete;
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
    this.#refuse();
  }
}
