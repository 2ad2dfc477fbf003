import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { untilFileEnds } from '../harness/at-end.ts';
import { CONFORMANCE_RUNS } from '../harness/scale.ts';
import { describeBothPaths } from '../rpc/unary-paths.ts';
import { featuresFile } from './features.ts';
import { readReport } from './report.ts';
import { missing, run, runner } from './runner.ts';
import { ServerUnderTest } from './server-under-test.ts';

/** The runner's own, which its cases are made for. */
const LIMIT_BYTES = 200 * 1024;
const skip = CONFORMANCE_RUNS === 0 ? 'takes minutes: npm run test:long' : missing;
const FORWARD = join(import.meta.dirname, 'forward.ts');

describe("Connect's conformance suite", { skip }, () => {
  let program: string;

  before(async () => {
    program = await untilFileEnds(runner);
  });

  describeBothPaths('as called by its runner', ({ env, fastPath, protocols }) => {
    const withGrpcWeb = protocols.includes('grpc-web');

    it(`finds no unknown failure, by ${withGrpcWeb ? 'each protocol' : 'gRPC and Connect'}`, async () => {
      for (let round = 0; round < CONFORMANCE_RUNS; round += 1) {
        const { socketPath } = await ServerUnderTest.start(env, LIMIT_BYTES);
        const { text } = await run(program, [
          ...['--mode', 'server', '--conf', featuresFile(withGrpcWeb)],
          ...['--max-servers', '2', '--parallel', '4'],
          ...['--', process.execPath, FORWARD, socketPath],
        ]);
        const { cases, unknown, unsaid } = readReport(text);
        assert.ok(cases > 0, text);
        assert.deepEqual(unknown, []);
        if (fastPath === 'on') assert.deepEqual(unsaid, []);
      }
    });
  });
});
