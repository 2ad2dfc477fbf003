import { CsvError, parse } from 'csv-parse/sync';
import { type Line, MAX_LINE_BYTES } from './text-lines.ts';

/** A record (RFC 4180), or what is wrong with it. `number` is the line on which it begins. */
export type CsvRecord = { number: number } & ({ cells: string[] } | { problem: string });

/** A quoted cell may contain line breaks; a record over more lines than this has an open quote. */
const MAX_LINES = 20;
const LEFT_OPEN = 'has a quote that is never closed';
const STRAY_QUOTE = 'has a quote where none may be';
const STRAY_RETURN = 'has a carriage return outside quotes';

/**
 * Reads the records of lines (RFC 4180, section 2). A stray quote costs the line that it is in, and
 * none of the lines after it: the parser is given the lines of one record at a time.
 */
export async function* csvRecords(lines: AsyncIterable<Line>): AsyncGenerator<CsvRecord> {
  let pending: Line[] = [];
  for await (const line of lines) {
    pending.push(line);
    yield* settle(false);
  }
  yield* settle(true);

  /** Yields the records that the pending lines make up; at the end of the file, all of them. */
  function* settle(isEnd: boolean): Generator<CsvRecord> {
    while (pending.length > 0) {
      const found = firstRecord(pending, isEnd);
      if (!found) return;
      pending = pending.slice(found.lines);
      if (found.record) yield found.record;
    }
  }
}

/**
 * The first record of some lines, and how many of them it takes. Undefined if it continues on a line
 * that is still to come. An empty line has no record.
 */
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

/** Parses some lines as one record. Undefined if they are too long for one. */
function parseLines(lines: readonly Line[]): ReturnType<typeof parseRecord> | undefined {
  const texts = lines.flatMap(({ text }) => (text === undefined ? [] : [text]));
  const whole = texts.join('\n');
  const isTooLong = texts.length < lines.length || whole.length > MAX_LINE_BYTES;
  return isTooLong ? undefined : parseRecord(whole);
}

/** Parses a text as one record. `open`: its last cell begins with a quote that is not closed. */
function parseRecord(text: string): { cells: string[] } | { problem: string } | 'open' {
  const record = text.endsWith('\r') ? text.slice(0, -1) : text;
  // Most records have no quotes, and the parser takes ten times as long.
  if (!/["\r]/.test(record)) return { cells: record.split(',').map(unguarded) };
  try {
    const [cells, ...others] = parse(text, {
      recordDelimiter: ['\r\n', '\n', '\r'],
      relaxColumnCount: true,
    });
    return cells && others.length === 0
      ? { cells: cells.map(unguarded) }
      : { problem: STRAY_RETURN };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    if (Number(error['records']) > 0) return { problem: STRAY_RETURN };
    return error.code === 'CSV_QUOTE_NOT_CLOSED' ? 'open' : { problem: STRAY_QUOTE };
  }
}

/**
 * Writes a record as in RFC 4180, with the end of its line. A cell that begins like a formula gets an
 * apostrophe, since spreadsheets would compute it, and control characters are replaced, since terminals
 * would obey them.
 */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => quoted(guarded(cell))).join(',')}\r\n`;
}

/**
 * Matches where a spreadsheet would begin a formula, before any apostrophes and quotes: at the start of a cell, and
 * after a semicolon or a line break, where some spreadsheets begin another cell despite the quotes.
 */
const FORMULA = /(?<=^|[;\r\n])(?=['"]*[=+\-@\t\r＝＋－＠])/g;
const GUARDED = /(?<=^|[;\r\n])'(?=['"]*[=+\-@\t\r＝＋－＠])/g;
const CONTROLS = /[^\P{Cc}\t\r\n]/gu;

function guarded(cell: string): string {
  return cell.replace(CONTROLS, '\ufffd').replace(FORMULA, "'");
}

/** Returns the cell as it was before `guarded`. */
function unguarded(cell: string): string {
  return cell.replace(GUARDED, '');
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
