import { writeSync } from 'node:fs';
import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';

type Event = {
  type: string;
  data: { name?: string; nesting?: number; details?: { type?: string }; skip?: unknown };
};

/** What the runner hears of the tests of a process. */
export type Report =
  /** The process is ready for another file, or will be when the current one has ended. */
  | { event: 'next' }
  /** Where the process is: in a file, and in a test of it unless that is empty. */
  | { event: 'at'; file: string; test: string }
  /** The results of tests, in the order in which they ran; files are suites of depth 0. */
  | { event: 'passed' | 'failed' | 'skipped' }
  | { event: 'file begins'; file: string }
  | { event: 'file ends'; file: string; passed: boolean };

const RUNNER_FD = 3;
/** The address at which the runner answers. */
export const FILES_FD = 4;

/** Writes a JSON line to the file descriptor that the runner opened. */
export function tell(report: Report): void {
  writeSync(RUNNER_FD, `${JSON.stringify(report)}\n`);
}

/** Tells the runner what happens, and prints it for people, without a sum for each process. */
export default async function* reporter(events: AsyncIterable<Event>): AsyncGenerator<unknown> {
  yield* Readable.from(told(events)).compose(spec);
}

async function* told(events: AsyncIterable<Event>): AsyncGenerator<Event> {
  for await (const event of events) {
    const report = reportOf(event);
    if (report) tell(report);
    if (event.type !== 'test:diagnostic') yield event;
  }
}

function reportOf({ type, data }: Event): Report | undefined {
  const file = data.name ?? '';
  const isFile = data.nesting === 0;
  if (type === 'test:start' && isFile) return { event: 'file begins', file };
  if (type !== 'test:pass' && type !== 'test:fail') return undefined;
  const passed = type === 'test:pass';
  if (isFile) return { event: 'file ends', file, passed };
  if (data.skip) return { event: 'skipped' };
  if (data.details?.type === 'suite') return undefined;
  return { event: passed ? 'passed' : 'failed' };
}
