import { parseArgs } from 'node:util';
import { z } from 'zod';
import { operator } from '../platform/caller.ts';
import { type AdminCreated, createAdmin } from '../users/create-admin.ts';
import { EXIT, type Io, print } from './io.ts';
import { onDatabase, printAnswer } from './on-database.ts';

export const ADMIN_USAGE = `  admin     look after administrators, in the database that the service uses
              create --email ADDRESS            make someone an administrator
`;

/** Makes someone an administrator without asking the service. Returns the exit code. */
export async function adminCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign admin …\n\n${ADMIN_USAGE}`, EXIT.usage);
  return onDatabase(io, async (on) => {
    const created = await createAdmin(on, operator(), asked.email);
    return printAnswer(io, { json: created, text: said(created, asked.email) }, asked.json);
  });
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        email: { type: 'string', default: '' },
      },
    });
    const isAddress = z.email().max(254).safeParse(values.email).success;
    return positionals.join() === 'create' && isAddress ? values : undefined;
  } catch {
    return undefined;
  }
}

function said({ userId, outcome }: AdminCreated, email: string): string {
  switch (outcome) {
    case 'invited':
      return `${email} is an administrator (${userId}): the service mails a link to set a password\n`;
    case 'promoted':
      return `${email} is an administrator from now on (${userId})\n`;
    case 'unchanged':
      return `${email} was an administrator before (${userId})\n`;
  }
}
