import { resolve } from 'node:path';
import { afterEach, before, beforeEach, describe } from 'node:test';
import { pathToFileURL } from 'node:url';
import { cleanUp } from '../harness/at-end.ts';
import { tell } from './reporter.ts';

/**
 * What the runner starts: the test files that it is given, one after the other, in one process, so that
 * the service is loaded and compiled once for all of them. Each is a suite of its own.
 */
for (const file of process.argv.slice(2)) {
  describe(file, async () => {
    // At once, unlike what the reporter tells: a test that computes for ever keeps that from going out.
    const at = (test: string) => tell({ event: 'at', file, test });
    before(() => at(''));
    beforeEach(({ fullName }) => at(fullName));
    afterEach(() => at(''));
    cleanUp();
    await import(pathToFileURL(resolve(file)).href);
  });
}
