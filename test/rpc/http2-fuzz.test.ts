import { describe, it } from 'node:test';
import { FUZZ_SEED } from '../harness/scale.ts';
import { http2Scenario } from './fuzz/http2-scenarios.ts';
import { withstands } from './fuzz/withstands.ts';

describe('frames of HTTP/2 that nobody should send', () => {
  it('W01 disturb no good caller, and leave nothing in memory or in the log', () =>
    withstands({
      seed: FUZZ_SEED,
      listeners: ['grpc', 'http'],
      scenario: http2Scenario,
      faultIn: () => undefined,
    }));
});
