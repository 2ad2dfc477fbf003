import { operator } from '../platform/caller.ts';
import { countUsers, exportUsers } from '../transfer/export-users.ts';
import { type Format, fileHead, fileLine } from '../transfer/user-file.ts';
import { EXIT, type Io } from './io.ts';
import type { OnDatabase } from './on-database.ts';
import { Progress } from './progress.ts';

export type ExportArguments = {
  format: Format;
  state: 'active' | 'suspended' | undefined;
  role: string;
  passwordHashes: boolean;
  json: boolean;
};

/** Writes all users to stdout, as fast as its reader takes them. Returns the exit code. */
export async function exportCommand(
  io: Io,
  on: OnDatabase,
  args: ExportArguments,
): Promise<number> {
  const { format, json, ...filter } = args;
  const progress = new Progress(io);
  const total = await countUsers(on, operator());
  let rows = 0;
  await io.write(fileHead(format));
  for await (const users of exportUsers(on, operator(), filter)) {
    rows += users.length;
    await io.write(users.map((user) => fileLine(format, user)).join(''));
    if (!json) progress.at(rows, rows / total);
  }
  progress.clear();
  const seconds = Math.round(progress.seconds * 10) / 10;
  io.err(
    json ? `${JSON.stringify({ exported: rows, seconds })}\n` : `${rows} exported (${seconds} s)\n`,
  );
  return EXIT.ok;
}
