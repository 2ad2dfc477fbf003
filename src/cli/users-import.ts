import { once } from 'node:events';
import { createReadStream, type WriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { operator } from '../platform/caller.ts';
import { printable, printableJson } from '../platform/printable.ts';
import { type Counts, countsOf } from '../transfer/import-batch.ts';
import type { Fault, RowResult } from '../transfer/import-row.ts';
import { importUsers } from '../transfer/import-users.ts';
import { requireUtf8, UnreadableFile } from '../transfer/text-lines.ts';
import { FORMATS, type Format, faultRecord, readUsers } from '../transfer/user-file.ts';
import { EXIT, type Io, print } from './io.ts';
import type { OnDatabase } from './on-database.ts';
import { Progress } from './progress.ts';

export type ImportArguments = {
  file: string;
  /** Empty: by the file's name. */
  format: string;
  dryRun: boolean;
  update: boolean;
  /** The file that lists refused rows. Empty: stderr. */
  refused: string;
  json: boolean;
};

/** Refused rows shown on stderr, at most; a file takes them all. */
const SHOWN = 100;

/** Imports a file. Returns the exit code: 65 if rows were refused or the file can't be read. */
export async function importCommand(
  io: Io,
  on: OnDatabase,
  args: ImportArguments,
): Promise<number> {
  const format = formatOf(args);
  if (!format)
    return print(io.err, 'unknown file format: pass --format ndjson or --format csv\n', EXIT.usage);
  const size = await sizeOf(args.file);
  if (size === undefined)
    return print(io.err, `there is no such file: ${args.file}\n`, EXIT.noInput);
  const run = new ImportRun(io, args, size);
  try {
    await requireUtf8(args.file);
    await run.import(on, format);
    return run.summary();
  } catch (error) {
    run.stopped();
    if (!(error instanceof UnreadableFile)) throw error;
    return print(io.err, `${args.file}: ${printable(error.message)}\n`, EXIT.badData);
  } finally {
    await run.close();
  }
}

export function formatOf({ format, file }: { format: string; file: string }): Format | undefined {
  const name = format || { '.json': 'ndjson', '.jsonl': 'ndjson' }[extname(file)] || extname(file);
  return FORMATS.find((each) => each === name.replace('.', ''));
}

/** The size in bytes; undefined if there is no such file. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

class ImportRun {
  readonly #io: Io;
  readonly #args: ImportArguments;
  readonly #size: number;
  readonly #progress: Progress;
  readonly #counts: Counts = countsOf([]);
  #refusedFile: WriteStream | undefined;
  #rows = 0;

  constructor(io: Io, args: ImportArguments, size: number) {
    this.#io = io;
    this.#args = args;
    this.#size = size;
    this.#progress = new Progress(io);
  }

  async import(on: OnDatabase, format: Format): Promise<void> {
    const { file, dryRun, update, refused } = this.#args;
    // Refused rows may hold personal data.
    if (refused !== '') this.#refusedFile = (await open(refused, 'w', 0o600)).createWriteStream();
    const settings = { dryRun, update };
    const stream = createReadStream(file);
    try {
      for await (const results of importUsers(
        on,
        operator(),
        readUsers(stream, format),
        settings,
      )) {
        await this.#take(results);
        if (!this.#args.json) this.#progress.at(this.#rows, stream.bytesRead / this.#size);
      }
    } finally {
      stream.destroy();
    }
  }

  async #take(results: readonly RowResult[]): Promise<void> {
    this.#rows += results.length;
    for (const [outcome, count] of Object.entries(countsOf(results))) {
      this.#counts[outcome as keyof Counts] += count;
    }
    for (const result of results) {
      if (result.outcome === 'refused') await this.#reportRefused(result.place, result.fault);
    }
  }

  #shown = 0;

  async #reportRefused(line: number, fault: Fault): Promise<void> {
    const record = `${printableJson(faultRecord(line, fault))}\n`;
    if (this.#refusedFile) {
      if (!this.#refusedFile.write(record)) {
        await once(this.#refusedFile, 'drain');
      }
      return;
    }
    this.#shown += 1;
    if (this.#shown > SHOWN) return;
    this.#progress.clear();
    const { field, message } = fault;
    const text = printable(`line ${line}: ${field}${field && ' '}${message}\n`);
    this.#io.err(this.#args.json ? record : text);
  }

  summary(): number {
    this.#progress.clear();
    const { dryRun, json, refused } = this.#args;
    const counts = this.#counts;
    const hidden = this.#refusedFile ? 0 : counts.refused - SHOWN;
    if (hidden > 0) {
      this.#io.err(`… and ${hidden} more refused rows: --refused FILE lists them all\n`);
    }
    const seconds = Math.round(this.#progress.seconds * 10) / 10;
    if (json) this.#io.out(`${JSON.stringify({ dry_run: dryRun, ...counts, seconds })}\n`);
    else this.#io.out(said(counts, dryRun, seconds));
    if (!json && refused !== '' && counts.refused > 0) {
      this.#io.err(`the refused rows are listed in ${refused}\n`);
    }
    return counts.refused > 0 ? EXIT.badData : EXIT.ok;
  }

  /** What was committed stays: the import can be continued. */
  stopped(): void {
    this.#progress.clear();
    if (this.#rows === 0) return;
    this.#io.err(`stopped after ${this.#rows} rows; run the same command again to continue\n`);
  }

  async close(): Promise<void> {
    const file = this.#refusedFile;
    if (file) await new Promise<void>((resolve) => file.end(() => resolve()));
  }
}

function said(counts: Counts, dryRun: boolean, seconds: number): string {
  const parts = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`);
  const what = dryRun ? 'nothing was written; there would be ' : '';
  return `${what}${parts.join(', ')} (${seconds} s)\n`;
}
