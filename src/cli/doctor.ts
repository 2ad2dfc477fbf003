import { parseArgs } from 'node:util';
import { readConfig } from '../config.ts';
import { examine, worstOf } from '../doctor/examine.ts';
import type { Finding } from '../doctor/finding.ts';
import { sentencesPage } from '../doctor/sentences.ts';
import { printableJson } from '../platform/printable.ts';
import { EXIT, type Io, print } from './io.ts';

export const DOCTOR_USAGE = `  doctor    ask everything that the service depends on, change nothing, and say what to do; 1: there
            are warnings; 69: something does not work
              --page      every sentence that it may print, as in docs/doctor.md
`;

type Values = { json: boolean; page: boolean };

/** Says what is wrong with what the service depends on. Returns the exit code. */
export async function doctorCommand(io: Io, args: readonly string[]): Promise<number> {
  const asked = parse(args);
  if (!asked) return print(io.err, `Usage: countersign doctor …\n\n${DOCTOR_USAGE}`, EXIT.usage);
  if (asked.page) return print(io.out, sentencesPage(), EXIT.ok);
  const found = await examine(readConfig(io.env, io.readFile));
  const status = worstOf(found);
  io.out(asked.json ? `${printableJson({ status, findings: found })}\n` : asText(found));
  if (status === 'failure') return EXIT.unavailable;
  return status === 'warning' ? EXIT.failed : EXIT.ok;
}

function parse(args: readonly string[]): Values | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean', default: false },
        page: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch {
    return undefined;
  }
}

function asText(found: readonly Finding[]): string {
  const count = (state: Finding['state']) => found.filter((each) => each.state === state).length;
  const lines = found.map(({ code, state, says, todo, ms }) => {
    const time = ms === undefined ? '' : ` (${ms} ms)`;
    const more = todo === '' ? '' : `\n         → ${todo}`;
    return `${state.padEnd(8)} ${code}: ${says}${time}${more}\n`;
  });
  return `${lines.join('')}\n${count('failure')} failures, ${count('warning')} warnings\n`;
}
