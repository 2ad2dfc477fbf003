import { AsyncResource } from 'node:async_hooks';
import { readSync } from 'node:fs';
import { createRequire, flushCompileCache } from 'node:module';
import { resolve } from 'node:path';
import { after, afterEach, before, beforeEach, describe } from 'node:test';
import { cleanUp } from '../harness/at-end.ts';
import { FILES_FD, tell } from './reporter.ts';

const require = createRequire(import.meta.url);
/** Belongs to no suite, and neither does what is declared in it. */
const outside = new AsyncResource('files');

/**
 * What the runner starts: the test files that it names, one after the other, in one process, so that
 * the service is loaded and compiled once for all of them. Each is a suite of its own, and is declared when
 * the one before ends, so that a process that is done sooner gets more of them.
 */
function runNext(): void {
  const file = nextFile();
  if (file === '') return;
  describe(file, () => {
    // At once, unlike what the reporter tells: a test that computes for ever keeps that from going out.
    const at = (test: string) => tell({ event: 'at', file, test });
    before(() => at(''));
    beforeEach(({ fullName }) => at(fullName));
    afterEach(() => at(''));
    cleanUp();
    try {
      // Not imported: whatever is declared after an `await` belongs to no suite (see fewer-hooks.ts).
      require(resolve(file));
    } finally {
      after(() => {
        // Not at the end of the process: what tests start now compiles less.
        flushCompileCache();
        outside.runInAsyncScope(runNext);
      });
    }
  });
}

/** Asks the runner, which answers with a line: empty if there is no more. */
function nextFile(): string {
  tell({ event: 'next' });
  const buffer = Buffer.alloc(1024);
  let text = '';
  for (let length = -1; length !== 0 && !text.endsWith('\n'); ) {
    length = readSync(FILES_FD, buffer);
    text += buffer.toString('utf8', 0, length);
  }
  return text.trim();
}

runNext();
