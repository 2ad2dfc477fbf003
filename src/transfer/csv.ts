import { type Line, MAX_LINE_BYTES } from './text-lines.ts';

/** A record of RFC 4180, by the line on which it begins; or what is wrong with it. */
export type CsvRecord = { number: number } & ({ cells: string[] } | { problem: string });

/** A quoted cell may hold line breaks; one that holds so many was left open. */
const MAX_LINES = 20;
const LEFT_OPEN = 'has a quote that is never closed';

/**
 * The records of lines (RFC 4180, section 2). What a stray quote opens costs the line that it stands in,
 * not those that follow.
 */
export async function* csvRecords(lines: AsyncIterable<Line>): AsyncGenerator<CsvRecord> {
  let pending: Line[] = [];
  for await (const line of lines) {
    pending.push(line);
    yield* settle(false);
  }
  yield* settle(true);

  /** Gives what the pending lines make up; at the end of the file, all of it. */
  function* settle(isEnd: boolean): Generator<CsvRecord> {
    while (pending.length > 0) {
      const made = firstRecord(pending, isEnd);
      if (!made) return;
      pending = pending.slice(made.lines);
      if (made.record) yield made.record;
    }
  }
}

/** The first record and how many lines it takes. Undefined: it goes on in a line that is to come. */
function firstRecord(
  lines: readonly Line[],
  isEnd: boolean,
): { record: CsvRecord | undefined; lines: number } | undefined {
  const [first] = lines;
  if (!first) return undefined;
  const { number, text } = first;
  if (text === undefined) return { record: { number, problem: 'is too long' }, lines: 1 };
  if (text === '' || text === '\r') return { record: undefined, lines: 1 };
  for (let count = 1; count <= lines.length; count += 1) {
    const parsed = parseLines(lines.slice(0, count));
    if (parsed === undefined) break;
    if (parsed !== 'open') return { record: { number, ...parsed }, lines: count };
    if (count === lines.length && !isEnd && count < MAX_LINES) return undefined;
  }
  return { record: { number, problem: LEFT_OPEN }, lines: 1 };
}

/** What some lines are as one record; undefined where they are too long for any. */
function parseLines(lines: readonly Line[]): ReturnType<typeof parseRecord> | undefined {
  const texts = lines.flatMap(({ text }) => (text === undefined ? [] : [text]));
  const whole = texts.join('\n');
  const isTooLong = texts.length < lines.length || whole.length > MAX_LINE_BYTES;
  return isTooLong ? undefined : parseRecord(whole);
}

/** A cell in quotes, in which two stand for one; or one without any. And what ends it. */
const CELL = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?$)/y;

function parseRecord(text: string): { cells: string[] } | { problem: string } | 'open' {
  const cells: string[] = [];
  for (let at = 0; ; at = CELL.lastIndex) {
    CELL.lastIndex = at;
    const match = CELL.exec(text);
    if (!match) return isOpen(text, at) ? 'open' : { problem: 'has a quote where none may be' };
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] !== ',') return { cells };
  }
}

/** Whether the cell at a place begins with a quote that the text does not close. */
function isOpen(text: string, at: number): boolean {
  return text[at] === '"' && /^(?:[^"]|"")*$/.test(text.slice(at + 1));
}

/** A record as RFC 4180 writes it, with its line's end. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(quoted).join(',')}\r\n`;
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
