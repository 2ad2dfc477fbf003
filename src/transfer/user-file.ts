import { printableJson } from '../platform/printable.ts';
import { type CsvRecord, csvLine, csvRecords } from './csv.ts';
import type { ExportedUser } from './export-users.ts';
import { type Fault, type Incoming, invalid } from './import-row.ts';
import { type Line, textLines, UnreadableFile } from './text-lines.ts';
import { FIELDS, readRecord, recordOf, unknownField } from './user-record.ts';

export const FORMATS = ['ndjson', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

/** How databases write these. */
const TRUE = ['true', 't', '1'];
const FALSE = ['false', 'f', '0'];
/** Between the roles in a cell. */
const ROLES_SEPARATOR = ';';

/**
 * The rows of a file with their line numbers, each read when it is asked for. Throws `UnreadableFile`
 * for a CSV file whose first line does not name its columns.
 */
export function readUsers(chunks: AsyncIterable<Buffer>, format: Format): AsyncGenerator<Incoming> {
  const lines = textLines(chunks);
  return format === 'csv' ? csvRows(csvRecords(lines)) : jsonRows(lines);
}

async function* jsonRows(lines: AsyncIterable<Line>): AsyncGenerator<Incoming> {
  for await (const { number: place, text } of lines) {
    if (text === undefined) yield { place, fault: invalid('', 'is longer than 64 KiB') };
    else if (text.trim() !== '') yield { place, ...parsed(text) };
  }
}

function parsed(text: string): ReturnType<typeof readRecord> {
  try {
    return readRecord(JSON.parse(text));
  } catch {
    // The parser's message would repeat what it read, which may be a secret.
    return { fault: invalid('', 'is not JSON') };
  }
}

async function* csvRows(records: AsyncGenerator<CsvRecord>): AsyncGenerator<Incoming> {
  const first = await records.next();
  if (first.done) return;
  const columns = columnsOf(first.value);
  for await (const record of records) {
    const place = record.number;
    if ('problem' in record) yield { place, fault: invalid('', record.problem) };
    else if (record.cells.length !== columns.length) {
      const message = `has ${record.cells.length} cells, but there are ${columns.length} columns`;
      yield { place, fault: invalid('', message) };
    } else yield { place, ...readCells(columns, record.cells) };
  }
}

function columnsOf(header: CsvRecord): string[] {
  if ('problem' in header) throw new UnreadableFile(`the first line ${header.problem}`);
  const columns = header.cells.map((cell) => cell.trim());
  const [only = ''] = columns;
  if (columns.length === 1 && /[;\t]/.test(only)) {
    throw new UnreadableFile('columns must be separated by commas, and these are not');
  }
  for (const [place, name] of columns.entries()) {
    const problem = unknownField(name);
    const isTwice = columns.indexOf(name) !== place;
    if (problem === undefined && !isTwice) continue;
    throw new UnreadableFile(
      `the first line must name the columns, and ${JSON.stringify(name.slice(0, 40))} ${problem ?? 'appears twice'}`,
    );
  }
  return columns;
}

function readCells(
  columns: readonly string[],
  cells: readonly string[],
): ReturnType<typeof readRecord> {
  const given = columns.map((name, place) => [name, cells[place] ?? ''] as const);
  const record = given
    .filter(([, cell]) => cell !== '')
    .map(([name, cell]) => [name, cellValue(name, cell)]);
  return readRecord(Object.fromEntries(record));
}

function cellValue(name: string, cell: string): unknown {
  if (name === 'roles') return cell.split(ROLES_SEPARATOR).map((role) => role.trim());
  if (name !== 'email_verified') return cell;
  const text = cell.toLowerCase();
  if (TRUE.includes(text)) return true;
  return FALSE.includes(text) ? false : cell;
}

/** The text before the first user of a file. */
export function fileHead(format: Format): string {
  return format === 'csv' ? csvLine(FIELDS) : '';
}

/** A user's line in a file. */
export function fileLine(format: Format, user: ExportedUser): string {
  const record = recordOf(user);
  if (format === 'ndjson') return `${printableJson(record)}\n`;
  return csvLine(FIELDS.map((name) => cellOf(record[name])));
}

function cellOf(value: unknown): string {
  return Array.isArray(value) ? value.join(ROLES_SEPARATOR) : String(value ?? '');
}

/** A refused row, for programs to read. */
export function faultRecord(line: number, { reason, field, message }: Fault) {
  return { line, reason, field, message };
}
