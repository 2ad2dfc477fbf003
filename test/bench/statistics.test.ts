import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { median, percentile } from '../../bench/report/statistics.ts';

describe('the statistics of the benchmarks', () => {
  it('have the middle number as median, or the mean of the two in the middle', () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([4, 1, 2, 100]), 3);
    assert.ok(Number.isNaN(median([])));
  });

  it('have as percentile the number that so many are not above', () => {
    const numbers = Array.from({ length: 100 }, (_, index) => 100 - index);
    assert.equal(percentile(numbers, 0.5), 50);
    assert.equal(percentile(numbers, 0.99), 99);
    assert.equal(percentile(numbers, 1), 100);
    assert.equal(percentile([7], 0.99), 7);
  });
});
