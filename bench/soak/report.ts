import type { FailureCount, FaultWindow, Loss, Verdict } from './judge.ts';
import type { Sample, Series } from './samples.ts';

/** What a soak has shown: what `--json` prints and `report.json` holds. */
export type SoakReport = Verdict & {
  seed: number;
  people: number;
  rate: number;
  lastedMs: number;
  windows: readonly FaultWindow[];
  lost: Loss[];
  untold: Loss[];
  counts: {
    signUps: number;
    revoked: number;
    webhooksArrived: number;
    /** Unknown if no replica says it. */
    webhooksPending: number | undefined;
    /** The 99th percentile of the delays of the event loop of whoever calls: above 50 it measures itself. */
    ownDelayMs: number;
  };
  series: Series[];
};

const MOST_LINES = 20;

/** The report as people read it. */
export function reportText(report: SoakReport): string {
  const { lastedMs, seed, people, rate, kinds, counts, windows, problems } = report;
  const calls = kinds.reduce((sum, kind) => sum + kind.calls, 0);
  const parts = [
    `${seconds(lastedMs)} s, ${calls} calls, ${people} people, rate ${rate}, seed ${seed}, ${windows.length} faults`,
    `${counts.signUps} sign-ups, ${counts.revoked} revocations, ${counts.webhooksArrived} webhook messages arrived, ${counts.webhooksPending ?? '?'} wait`,
    `The callers' own event loop was late by ${counts.ownDelayMs.toFixed(0)} ms (p99)`,
    faultLines(windows),
    durationLines(report),
    failureLines(report.failures),
    ...(
      [
        ['Lost', report.lost],
        ['Never told', report.untold],
      ] as const
    ).map(([title, losses]) => lossLines(title, losses)),
    acceptedLines(report),
    processLines(report.series),
    problems.length === 0 ? 'Passed.' : `Failed: ${problems.join('; ')}.`,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function faultLines(windows: readonly FaultWindow[]): string {
  const lines = windows.map(
    ({ fault, from, until }) => `  ${seconds(from).padStart(7)} – ${seconds(until)} s  ${fault}`,
  );
  return lines.length === 0 ? 'No faults' : ['Faults, recovery included', ...lines].join('\n');
}

function durationLines({ kinds }: SoakReport): string {
  const cells = [
    ['Calls', 'count', 'p50', 'p99 (ms)', 'in faults', 'p50', 'p99 (ms)'],
    ...kinds.map(({ kind, quiet, faulty }) => [
      kind,
      ...[quiet, faulty].flatMap(({ count, p50, p99 }) => [
        String(count),
        count === 0 ? '–' : p50.toFixed(1),
        count === 0 ? '–' : p99.toFixed(1),
      ]),
    ]),
  ];
  return aligned(cells);
}

function failureLines(failures: readonly FailureCount[]): string {
  if (failures.length === 0) return 'No call failed';
  const cells = failures.map((failure) => [
    failure.kind,
    `${failure.code} ${failure.reason}${failure.hasRetryInfo ? ', retry' : ''}`,
    [
      ...Object.entries(failure.explained).map(([fault, count]) => `${count} by ${fault}`),
      ...(failure.unexplained > 0
        ? [`${failure.unexplained} UNEXPLAINED, from ${seconds(failure.firstUnexplainedAt ?? 0)} s`]
        : []),
    ].join(', '),
  ]);
  return aligned([['Failures', '', 'explained'], ...cells]);
}

function lossLines(title: string, losses: readonly Loss[]): string {
  if (losses.length === 0) return `${title}: none`;
  const lines = losses.slice(0, MOST_LINES).map(({ what, at }) => `  ${seconds(at)} s  ${what}`);
  return [`${title}: ${losses.length}`, ...lines].join('\n');
}

function acceptedLines({ acceptedLate }: SoakReport): string {
  const lines = acceptedLate
    .slice(0, MOST_LINES)
    .map(
      ({ what, revokedAt, checkedAt }) => `  ${what}, after ${seconds(checkedAt - revokedAt)} s`,
    );
  return [
    `Revoked and accepted later than the bound: ${acceptedLate.length || 'none'}`,
    ...lines,
  ].join('\n');
}

/** From the first quiet moments of a process to its last ones. */
function processLines(series: readonly Series[]): string {
  const cells = series.flatMap(({ replica, samples }) =>
    [...Map.groupBy(samples, ({ startedAt }) => startedAt).values()].map((of) => [
      replica,
      `${seconds(of[0]?.at ?? 0)} – ${seconds(of.at(-1)?.at ?? 0)} s`,
      ...(['rssMib', 'heapMib', 'fds', 'connections'] as const).map((field) => change(of, field)),
      Math.max(...of.map(({ loopMs }) => loopMs)).toFixed(0),
    ]),
  );
  const head = ['Processes', '', 'RSS, MiB', 'heap, MiB', 'fds', 'connections', 'loop p99, ms'];
  return aligned([head, ...cells]);
}

function change(samples: readonly Sample[], field: 'rssMib' | 'heapMib' | 'fds' | 'connections') {
  const of = samples.map((sample) => sample[field]);
  const [first, last, most] = [of[0] ?? 0, of.at(-1) ?? 0, Math.max(...of)];
  return `${first.toFixed(0)} → ${last.toFixed(0)} (${most.toFixed(0)})`;
}

/** Columns of the same width; the first is to the left. */
function aligned(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  return cells
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}
