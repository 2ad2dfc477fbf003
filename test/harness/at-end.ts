import { after, afterEach, beforeEach } from 'node:test';

type Cleanup = () => unknown;

const ofFile: Cleanup[] = [];
let ofTest: Cleanup[] | undefined;

/**
 * Runs something when the current test has ended, whether it passed or failed; outside a test, when the
 * file has ended. The newest runs first.
 */
export function atEnd(cleanup: Cleanup): void {
  (ofTest ?? ofFile).push(cleanup);
}

/** Runs something when the file has ended. */
export function atFileEnd(cleanup: Cleanup): void {
  ofFile.push(cleanup);
}

/** Lets what `start` starts outlive the current test, until the file has ended. */
export async function untilFileEnds<T>(start: () => Promise<T>): Promise<T> {
  const cleanups = ofTest;
  ofTest = undefined;
  try {
    return await start();
  } finally {
    ofTest = cleanups;
  }
}

/** Sets this up for the tests of a file; what runs the file calls it first. */
export function cleanUp(): void {
  beforeEach(() => {
    ofTest = [];
  });
  afterEach(async () => {
    const cleanups = ofTest ?? [];
    ofTest = undefined;
    await clean(cleanups);
  });
  after(() => clean(ofFile));
}

async function clean(cleanups: Cleanup[]): Promise<void> {
  const errors: unknown[] = [];
  for (let next = cleanups.pop(); next !== undefined; next = cleanups.pop()) {
    try {
      await next();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'what a test started did not end');
}
