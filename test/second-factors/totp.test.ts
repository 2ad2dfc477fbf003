import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { totpStep } from '../../src/second-factors/totp.ts';

describe('A time-based code', () => {
  it('C09 is that of RFC 6238, appendix B', () => {
    const secret = Buffer.from('12345678901234567890');
    for (const [seconds, code] of [
      [59, '94287082'],
      [1111111109, '07081804'],
      [1111111111, '14050471'],
      [1234567890, '89005924'],
      [2000000000, '69279037'],
      [20000000000, '65353130'],
    ] as const) {
      const at = new Date(seconds * 1000);
      // The vectors have eight digits; six are the last six of them.
      assert.equal(totpStep(secret, code.slice(2), at), Math.floor(seconds / 30), code);
    }
  });
});
