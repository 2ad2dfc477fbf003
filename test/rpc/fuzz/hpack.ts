/** How a field is written, RFC 7541 section 6: into the table, past it, or never into one. */
export type Kind = 'indexed' | 'plain' | 'never';
export type Field = readonly [name: string, value: string | Buffer];

const PREFIXES = { indexed: [6, 0x40], plain: [4, 0x00], never: [4, 0x10] } as const;
const STATIC_ENTRIES = 61;
const TABLE_BYTES = 4096;
const ENTRY_OVERHEAD = 32;

/** RFC 7541 section 5.1: with a prefix of `bits` bits below those of `first`. */
function integer(value: number, bits: number, first = 0): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A string without Huffman coding, or one that says it is coded. */
export function text(value: string | Buffer, isCoded = false): Buffer {
  const bytes = Buffer.from(value as string, 'latin1');
  return Buffer.concat([integer(bytes.length, 7, isCoded ? 0x80 : 0), bytes]);
}

/** A field that stands in one of the tables. */
export const reference = (index: number): Buffer => integer(index, 7, 0x80);

/** Says how large the table is from here on. */
export const tableSize = (bytes: number): Buffer => integer(bytes, 5, 0x20);

export function literal([name, value]: Field, kind: Kind = 'plain'): Buffer {
  const [bits, first] = PREFIXES[kind];
  return Buffer.concat([integer(0, bits, first), text(name), text(value)]);
}

/** A field whose name stands in one of the tables. */
export function named(index: number, value: string, kind: Kind = 'plain'): Buffer {
  const [bits, first] = PREFIXES[kind];
  return Buffer.concat([integer(index, bits, first), text(value)]);
}

/** Writes header blocks of one connection, and knows what its table holds. */
export class Encoder {
  readonly #table: { line: string; bytes: number }[] = [];

  /** A field, by reference if it stands in the table. */
  field(field: Field, kind: Kind): Buffer {
    const [name, value] = field;
    const line = `${name}\n${Buffer.from(value as string, 'latin1').toString('latin1')}`;
    const place = this.#table.findIndex((entry) => entry.line === line);
    if (place >= 0 && kind !== 'never') return reference(STATIC_ENTRIES + 1 + place);
    if (kind === 'indexed') this.#remember(line);
    return literal(field, kind);
  }

  #remember(line: string): void {
    this.#table.unshift({ line, bytes: line.length - 1 + ENTRY_OVERHEAD });
    const held = () => this.#table.reduce((sum, { bytes }) => sum + bytes, 0);
    while (held() > TABLE_BYTES) this.#table.pop();
  }
}
