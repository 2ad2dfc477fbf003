import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { afterEach, before, beforeEach, describe } from 'node:test';
import { cleanUp } from '../harness/at-end.ts';
import { tell } from './reporter.ts';

const require = createRequire(import.meta.url);

/**
 * What the runner starts: the test files that it is given, one after the other, in one process, so that
 * the service is loaded and compiled once for all of them. Each is a suite of its own.
 */
for (const file of process.argv.slice(2)) {
  describe(file, () => {
    // At once, unlike what the reporter tells: a test that computes for ever keeps that from going out.
    const at = (test: string) => tell({ event: 'at', file, test });
    before(() => at(''));
    beforeEach(({ fullName }) => at(fullName));
    afterEach(() => at(''));
    cleanUp();
    // Not imported: whatever is declared after an `await` belongs to no suite (see fewer-hooks.ts).
    require(resolve(file));
  });
}
