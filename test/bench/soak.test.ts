import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FAULTS, type Fault, plannedFaults } from '../../bench/soak/fault-plan.ts';
import { type CallFailure, judge, type Seen } from '../../bench/soak/judge.ts';
import { soakPicture } from '../../bench/soak/picture.ts';
import { reportText, type SoakReport } from '../../bench/soak/report.ts';
import { sampleOf } from '../../bench/soak/samples.ts';
import { atEnd } from '../harness/at-end.ts';

const AWAY = { code: 'Unavailable', reason: 'DEPENDENCY_UNAVAILABLE', hasRetryInfo: true };
const FROZEN = { fault: 'database frozen', from: 1000, until: 6000 } as const;
const ALL = Object.keys(FAULTS) as Fault[];

function seen(parts: Partial<Seen> = {}): Seen {
  const calls = [{ kind: 'GetMe', from: 0, until: 5 }];
  return { calls, windows: [FROZEN], lost: [], accepted: [], untold: [], ...parts };
}

function failed(at: number, failure: CallFailure = AWAY) {
  return [{ kind: 'GetMe', from: at, until: at + 10, failure }];
}

describe('the judgement of a soak', () => {
  it('finds nothing wrong with calls that are answered', () => {
    assert.deepEqual(judge(seen()).problems, []);
  });

  it('finds a failure that no fault explains, by its time, its kind, or its missing RetryInfo', () => {
    assert.deepEqual(judge(seen({ calls: failed(2000) })).problems, []);
    const internal = { ...AWAY, reason: 'INTERNAL' };
    const unexplained = [
      failed(7000),
      failed(900, internal),
      failed(2000, internal),
      failed(2000, { ...AWAY, hasRetryInfo: false }),
    ];
    for (const calls of unexplained) assert.match(judge(seen({ calls })).problems[0] ?? '', /^1 ×/);
  });

  it('takes no fault of Redis or of a webhook target as an excuse', () => {
    for (const fault of ['Redis killed', 'Redis frozen', 'webhook target away'] as const) {
      const windows = [{ ...FROZEN, fault }];
      assert.equal(judge(seen({ calls: failed(2000), windows })).problems.length, 1, fault);
    }
  });

  it('finds a lost session, and a revocation that a watcher was not told of', () => {
    assert.match(judge(seen({ lost: [{ what: 'session', at: 1 }] })).problems.join(), /lost/);
    assert.match(judge(seen({ untold: [{ what: 'session', at: 1 }] })).problems.join(), /told/);
  });

  it('finds a revoked credential that is accepted after a second, or after 11 without a database', () => {
    const accepted = (revokedAt: number, checkedAt: number) =>
      judge(seen({ accepted: [{ what: 'token', revokedAt, checkedAt }] })).acceptedLate.length;
    assert.deepEqual([accepted(7000, 7900), accepted(7000, 8000)], [0, 1]);
    assert.deepEqual([accepted(2000, 12_900), accepted(2000, 13_000)], [0, 1]);
  });

  it('says how long calls took in faults and beside them', () => {
    const calls = [...seen().calls, { kind: 'GetMe', from: 2000, until: 2500 }];
    const [kind] = judge(seen({ calls })).kinds;
    assert.deepEqual(kind?.quiet, { count: 1, p50: 5, p99: 5 });
    assert.deepEqual(kind?.faulty, { count: 1, p50: 500, p99: 500 });
  });

  it('finds that nothing was called', () => {
    assert.equal(judge(seen({ calls: [] })).problems.length, 1);
  });
});

describe('the faults of a soak', () => {
  it('are the same for a seed, all there are, and leave the beginning and the end alone', () => {
    const planned = plannedFaults(300_000, 1, ALL);
    assert.deepEqual(planned, plannedFaults(300_000, 1, ALL));
    assert.notDeepEqual(planned, plannedFaults(300_000, 2, ALL));
    assert.deepEqual(new Set(planned.map(({ fault }) => fault)), new Set(ALL));
    for (const { at } of planned) assert.ok(at >= 30_000 && at <= 270_000);
  });

  it('are one in six seconds, and none if there are none to choose from', () => {
    assert.equal(plannedFaults(6000, 1, ALL).length, 1);
    assert.deepEqual(plannedFaults(300_000, 1, []), []);
  });
});

describe('the report of a soak', () => {
  const sample = (at: number, startedAt: number) =>
    sampleOf(
      `process_start_time_seconds ${startedAt}\nprocess_resident_memory_bytes 209715200\nprocess_open_fds 41\ncountersign_db_pool_connections{pool="calls",state="busy"} 3\ncountersign_db_pool_connections{pool="calls",state="idle"} 4\nnodejs_eventloop_lag_p99_seconds 0.025\n`,
      at,
    );
  const report: SoakReport = {
    ...{ seed: 1, people: 2, rate: 1, lastedMs: 60_000, windows: [FROZEN], lost: [], untold: [] },
    counts: { signUps: 1, revoked: 2, webhooksArrived: 3, webhooksPending: 0, ownDelayMs: 11 },
    series: [{ replica: 'replica 1', samples: [sample(0, 1), sample(1000, 1), sample(9000, 2)] }],
    ...judge(seen({ calls: [...seen().calls, ...failed(2000), ...failed(8000)] })),
  };

  it('reads what a replica takes from its metrics', () => {
    const { rssMib, fds, busy, connections, loopMs } = sample(0, 1);
    assert.deepEqual([rssMib, fds, busy, connections, loopMs], [200, 41, 3, 7, 15]);
  });

  it('says what failed and why, and what came of it', () => {
    const text = reportText(report);
    assert.match(
      text,
      /GetMe +Unavailable DEPENDENCY_UNAVAILABLE, retry +1 by database frozen, 1 UNEXPLAINED, from 8.0 s/,
    );
    assert.match(text, /Failed: 1 × call failed without a fault/);
    assert.match(reportText({ ...report, ...judge(seen()) }), /Passed\.\n$/);
  });

  it('is a picture with axes, a line for each process and a shade for each fault', () => {
    const picture = soakPicture(report);
    assert.equal(picture.match(/<polyline/g)?.length, 5 * 2);
    assert.equal(picture.match(/<title>database frozen/g)?.length, 5);
    for (const text of ['Resident memory, MiB', '>200<', '>1:00<'])
      assert.ok(picture.includes(text), text);
    assert.doesNotMatch(picture, /NaN|undefined|Infinity/);
  });
});

describe('npm run soak', () => {
  it('runs the traffic, and its report and exit code say the same', () => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-soak-'));
    atEnd(() => rmSync(directory, { recursive: true, force: true }));
    const settings = '--minutes 0.05 --people 2 --rate 0.5 --faults none --json --out'.split(' ');
    const args = ['bench/soak/run.ts', ...settings, directory];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.match(stdout, /^\{/, stderr);
    const report = JSON.parse(stdout) as SoakReport;
    assert.equal(status, report.problems.length === 0 ? 0 : 1);
    assert.deepEqual(report.lost, []);
    assert.ok(report.kinds.some(({ kind }) => kind === 'IntrospectToken, gRPC'));
    assert.equal(report.series.length, 2);
    assert.match(readFileSync(join(directory, 'soak.svg'), 'utf8'), /^<svg/);
    assert.match(readFileSync(join(directory, 'report.txt'), 'utf8'), /(Passed|Failed.*)\.\n$/);
  });
});
