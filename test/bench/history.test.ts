import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  formatLines,
  HEADING_LINE,
  type Line,
  linesOf,
  parseHistory,
  slides,
  slidesText,
} from '../../bench/report/history.ts';
import type { Result } from '../../bench/report/measure.ts';

const RUN = { date: '2026-01-02', commit: 'abc1234', machine: '2 × a processor' };

const RATIO: Result = {
  name: 'IntrospectToken',
  about: '',
  ours: { name: 'ours', perSecond: 95, rounds: [90, 95, 99] },
  bare: { name: 'bare', perSecond: 100, rounds: [100, 100, 100] },
  ratio: 0.95,
  ratios: [0.9, 0.95, 0.99],
  target: 0.95,
  met: true,
};
const FIGURES: Result = {
  name: 'Start',
  about: '',
  figures: [{ name: 'new database', value: 1234.5678, unit: 'ms', atMost: 3000, met: true }],
};

function ratios(...values: number[]): Line[] {
  return values.map((value) => ({
    ...RUN,
    ...{ row: 'Login', figure: 'ratio', unit: 'ratio', value, low: value, high: value },
  }));
}

function memories(...values: number[]): Line[] {
  return ratios(...values).map((line) => ({ ...line, figure: 'idle', unit: 'MiB' }));
}

describe('the history of the benchmarks', () => {
  it('has a line for each ratio with its range, and for each figure', () => {
    const text = HEADING_LINE + formatLines(linesOf([RATIO, FIGURES], RUN));
    assert.equal(
      text,
      `date\tcommit\trow\tfigure\tvalue\tunit\tlow\thigh\tmachine
2026-01-02\tabc1234\tIntrospectToken\tratio\t0.95\tratio\t0.9\t0.99\t2 × a processor
2026-01-02\tabc1234\tStart\tnew database\t1235\tms\t1235\t1235\t2 × a processor
`,
    );
  });

  it('reads what it wrote', () => {
    const lines = linesOf([RATIO], RUN);
    assert.deepEqual(parseHistory(HEADING_LINE + formatLines(lines)), lines);
  });

  it('names the line that it cannot read', () => {
    const text = `${HEADING_LINE}${formatLines(linesOf([RATIO], RUN))}2026-01-02\tabc1234\n`;
    assert.throws(() => parseHistory(text), /line 3 /);
  });

  it('says that a ratio slid if it fell by more than 5 %', () => {
    assert.equal(slides(ratios(0.9, 0.9, 0.86)).length, 0);
    const [slide] = slides(ratios(0.9, 0.9, 0.84));
    assert.equal(slide?.before, 0.9);
    assert.equal(slide.line.value, 0.84);
  });

  it('says that a figure slid if it rose, and not if it fell', () => {
    assert.equal(slides(memories(200, 240)).length, 1);
    assert.equal(slides(memories(200, 100)).length, 0);
  });

  it('does not call a ratio slid that only grew', () => {
    assert.deepEqual(slides(ratios(0.5, 0.5, 0.9)), []);
  });

  it('takes for noise what earlier lines differ among themselves', () => {
    assert.deepEqual(slides(ratios(1, 0.7, 1.3, 0.75)), []);
  });

  it('takes for noise what the rounds differ among themselves', () => {
    const [before, after] = ratios(1, 0.8);
    assert.ok(before && after);
    assert.equal(slides([before, after]).length, 1);
    assert.equal(slides([before, { ...after, low: 0.6, high: 1.1 }]).length, 0);
  });

  it('forgets lines that are older than the last five', () => {
    assert.equal(slides(ratios(2, 1, 1, 1, 1, 1, 0.9)).length, 1);
    assert.equal(slides(ratios(2, 1, 1, 1, 1, 0.9)).length, 0);
  });

  it('compares only figures of one name and one machine', () => {
    const [before, after] = ratios(1, 0.5);
    assert.ok(before && after);
    assert.deepEqual(slides([before, { ...after, machine: 'another' }]), []);
    assert.deepEqual(slides([before, { ...after, row: 'SignUp' }]), []);
  });

  it('says what slid in one line each', () => {
    assert.equal(
      slidesText(slides([...ratios(0.9, 0.8), ...memories(200, 300)])),
      `SLID  Login: 0.8 at abc1234 (2026-01-02), before 0.9 ± 0.045
SLID  Login, idle: 300 MiB at abc1234 (2026-01-02), before 200 MiB ± 10
`,
    );
    assert.equal(slidesText([]), 'nothing slid beyond its noise\n');
  });
});
