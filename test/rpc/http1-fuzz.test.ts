import { describe, it } from 'node:test';
import { FUZZ_SEED } from '../harness/scale.ts';
import { http1Scenario } from './fuzz/http1-scenarios.ts';
import { withstands } from './fuzz/withstands.ts';

/**
 * An answer that says the service is to blame. 501 and 505 refuse what it does not speak, and 504 is how
 * Connect writes DEADLINE_EXCEEDED: of a request whose rest does not arrive in time.
 */
const OWN_FAULT = /^HTTP\/1\.1 5(?!01|04|05).*$/m;

describe('requests of HTTP/1.1 that nobody should send', () => {
  it('W01 disturb no good caller, and leave nothing in memory or in the log', () =>
    withstands({
      seed: FUZZ_SEED,
      listeners: ['http'],
      scenario: (random, _, recorded) => http1Scenario(random, recorded),
      faultIn: (received) => OWN_FAULT.exec(received.toString('latin1'))?.[0],
    }));
});
