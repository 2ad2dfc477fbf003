import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NUMBERS } from '../../src/platform/locks.ts';

describe('Advisory locks', () => {
  it('W12 have one number each, and are taken by name', () => {
    const numbers = Object.values(NUMBERS);
    assert.equal(new Set<number>(numbers).size, numbers.length);
    const elsewhere = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== join('platform', 'locks.ts'))
      .filter((file) =>
        /advisory_(xact_)?lock|727_?274_?\d/.test(readFileSync(join('src', file), 'utf8')),
      );
    assert.deepEqual(elsewhere, []);
  });
});
