import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeAttempt } from '../../src/webhooks/judge-attempt.ts';
import { delayBefore, pauseAfter } from '../../src/webhooks/retry-schedule.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIDDLE = 0.5;
const LEAST = 0;
const MOST = 0.999_999_999;

/** The delay before each attempt (ms). */
const DELAYS = [
  0,
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

describe('the schedule of a delivery', () => {
  it('E03 has ten attempts over three days, each up to a fifth sooner or later', () => {
    for (const [step, delay] of DELAYS.entries()) {
      assert.equal(delayBefore(step, undefined, MIDDLE), delay);
      assert.equal(delayBefore(step, undefined, LEAST), delay * 0.8);
      assert.equal(delayBefore(step, undefined, MOST), delay * 1.2);
    }
    assert.equal(delayBefore(DELAYS.length, undefined, MIDDLE), undefined);
    assert.equal(delayBefore(DELAYS.length, HOUR, MIDDLE), undefined);
  });

  it('E03 gives a target the time it asks for, up to twice the delay', () => {
    for (const [asked, expected] of [
      [0, 5 * MINUTE],
      [4 * MINUTE, 5 * MINUTE],
      [7 * MINUTE, 7 * MINUTE],
      [10 * MINUTE, 10 * MINUTE],
      [11 * MINUTE, 10 * MINUTE],
      [999_999_999 * SECOND, 10 * MINUTE],
    ] as const) {
      assert.equal(delayBefore(2, asked, MIDDLE), expected);
    }
  });

  it('E03 leaves a target that is slow alone for as long as it has been, within limits', () => {
    for (const [failing, asked, expected] of [
      [0, undefined, 5 * SECOND],
      [20 * SECOND, undefined, 20 * SECOND],
      [DAY, undefined, 5 * MINUTE],
      [20 * SECOND, 10 * SECOND, 20 * SECOND],
      [20 * SECOND, 30 * SECOND, 30 * SECOND],
      [20 * SECOND, HOUR, 40 * SECOND],
      [DAY, DAY, 10 * MINUTE],
    ] as const) {
      assert.equal(pauseAfter(failing, asked), expected);
    }
  });
});

describe('what follows from an attempt', () => {
  const createdAt = new Date('2026-01-01T00:00:00Z');
  const delivery = { messageId: 'm', payload: Buffer.alloc(0), createdAt, step: 0 };
  const at = (ms: number) => new Date(+createdAt + ms);
  const judge = (
    attempt: Omit<Parameters<typeof judgeAttempt>[1], 'durationMs'>,
    { step = 0, failingSince = null as Date | null, after = SECOND } = {},
  ) => {
    const when = { failingSince, startedAt: at(after), now: at(after + 10) };
    return judgeAttempt({ ...delivery, step }, { durationMs: 10, ...attempt }, when, MIDDLE);
  };

  it('E03 is the end after a success, and the target is as good as new', () => {
    const { noted, failingSince, pauseUntil, disable } = judge(
      { status: 204 },
      { failingSince: createdAt, after: 6 * DAY },
    );
    const seen = { started_at: at(6 * DAY).toISOString(), duration_ms: 10, status: 204 };
    const { messageId } = delivery;
    const expected = { messageId, state: 'succeeded', nextAttemptAt: null, step: 1, attempt: seen };
    assert.deepEqual(noted, expected);
    assert.deepEqual([failingSince, pauseUntil, disable], [null, undefined, undefined]);
  });

  it('E03 is the next attempt after a failure, until there have been ten', () => {
    const first = judge({ status: 500, failure: 'status' });
    assert.equal(first.noted.state, 'pending');
    assert.equal(first.noted.step, 1);
    assert.deepEqual(first.noted.nextAttemptAt, at(SECOND + 10 + 5 * SECOND));
    assert.deepEqual(first.failingSince, at(SECOND));
    assert.equal(first.noted.attempt.failure, 'status');
    const last = judge({ failure: 'connect' }, { step: 9 });
    assert.deepEqual([last.noted.state, last.noted.nextAttemptAt], ['failed', null]);
  });

  it('E03 is a pause of the target after a 429 and a time-out only', () => {
    assert.deepEqual(judge({ failure: 'timeout' }).pauseUntil, at(SECOND + 10 + 5 * SECOND));
    const asked = judge({ status: 429, failure: 'status', retryAfterMs: 8 * SECOND });
    assert.deepEqual(asked.pauseUntil, at(SECOND + 10 + 8 * SECOND));
    assert.deepEqual(asked.noted.nextAttemptAt, at(SECOND + 10 + 8 * SECOND));
    for (const status of [301, 400, 410, 500, 503]) {
      assert.equal(judge({ status, failure: 'status' }).pauseUntil, undefined);
    }
  });

  it('E03 is the end of the webhook after a 410, or five days of nothing but failures', () => {
    assert.equal(judge({ status: 410, failure: 'status' }).disable, 'gone');
    const failing = (after: number) => judge({ failure: 'dns' }, { failingSince: at(0), after });
    assert.equal(failing(5 * DAY - SECOND).disable, undefined);
    assert.equal(failing(5 * DAY).disable, 'failing');
    const quiet = { failingSince: at(-30 * DAY) };
    assert.equal(judge({ failure: 'dns' }, { ...quiet, after: 23 * HOUR }).disable, undefined);
    assert.equal(judge({ failure: 'dns' }, { ...quiet, after: 24 * HOUR }).disable, 'failing');
  });
});
