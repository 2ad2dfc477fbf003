import type { FaultWindow } from './judge.ts';
import type { SoakReport } from './report.ts';
import type { Sample, Series } from './samples.ts';

const WIDTH = 960;
const LEFT = 64;
const RIGHT = 16;
const TOP = 58;
const PANEL = 96;
const GAP = 34;
const PLOT = WIDTH - LEFT - RIGHT;
const STEPS = 2;

/** What is drawn, one panel below the other. */
const PANELS: readonly { title: string; field: keyof Sample }[] = [
  { title: 'Resident memory, MiB', field: 'rssMib' },
  { title: 'Heap in use, MiB', field: 'heapMib' },
  { title: 'Open files and connections', field: 'fds' },
  { title: 'Busy connections to PostgreSQL', field: 'busy' },
  { title: 'Delay of the event loop, 99th percentile, ms', field: 'loopMs' },
];

const FAULT_COLOURS: Readonly<Record<string, string>> = {
  database: '#cf222e',
  Redis: '#bf8700',
  replica: '#8250df',
  rolling: '#1a7f37',
  webhook: '#6e7781',
};

/** Colours that can be read on light and dark pages; the page's own background shows through. */
const STYLE = `
  text { font: 11px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 12px }
  .axis { stroke: #9aa4af; stroke-width: 0.5 }
  .line { fill: none; stroke-width: 1.4 }
  .r0 { stroke: #0969da } .r1 { stroke: #bc4c00 }
  .k0 { fill: #0969da } .k1 { fill: #bc4c00 }
  .fault { fill-opacity: 0.18 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .fault { fill-opacity: 0.35 }
  }`;

/** Draws what the replicas took over time, with the faults shaded. */
export function soakPicture({ series, windows, lastedMs }: SoakReport): string {
  const height = TOP + PANELS.length * (PANEL + GAP) + 8;
  const x = (ms: number) => LEFT + (Math.min(Math.max(ms, 0), lastedMs) / lastedMs) * PLOT;
  const panels = PANELS.map(({ title, field }, index) =>
    panel({ title, field, y: TOP + index * (PANEL + GAP), x, lastedMs }, series, windows),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Memory, files, connections and delays of two replicas over time, with faults">
<style>${STYLE}
</style>
${legend(series, windows)}
${panels.join('\n')}
</svg>
`;
}

function legend(series: readonly Series[], windows: readonly FaultWindow[]): string {
  const drawn = series.map(
    ({ replica }, index) =>
      `<rect class="k${index}" x="${LEFT + index * 90}" y="10" width="12" height="4"/><text x="${LEFT + 18 + index * 90}" y="16">${escaped(replica)}</text>`,
  );
  const faults = [...new Set(windows.map(({ fault }) => fault))];
  let left = LEFT;
  for (const fault of faults) {
    drawn.push(
      `<rect class="fault" fill="${colourOf(fault)}" x="${left}" y="26" width="12" height="12"/><text x="${left + 18}" y="36">${escaped(fault)}</text>`,
    );
    left += 34 + fault.length * 6;
  }
  return drawn.join('\n');
}

function colourOf(fault: string): string {
  return FAULT_COLOURS[fault.split(' ')[0] ?? ''] ?? '#6e7781';
}

type Panel = {
  title: string;
  field: keyof Sample;
  y: number;
  x: (ms: number) => number;
  lastedMs: number;
};

function panel(
  { title, field, y, x, lastedMs }: Panel,
  series: readonly Series[],
  windows: readonly FaultWindow[],
): string {
  const values = series.flatMap(({ samples }) => samples.map((sample) => sample[field]));
  const top = roundedUp(Math.max(1, ...values));
  const at = (value: number) => y + PANEL - (value / top) * PANEL;
  const shades = windows.map(({ fault, from, until }) => {
    const width = Math.max(1, x(until) - x(from)).toFixed(1);
    return `<rect class="fault" fill="${colourOf(fault)}" x="${x(from).toFixed(1)}" y="${y}" width="${width}" height="${PANEL}"><title>${escaped(fault)}</title></rect>`;
  });
  const levels = Array.from({ length: STEPS + 1 }, (_, step) => (top * step) / STEPS);
  const lines = series.flatMap(({ samples }, index) =>
    // A process that was started again is another line.
    [...Map.groupBy(samples, ({ startedAt }) => startedAt).values()].map((of) => {
      const points = of.map((each) => `${x(each.at).toFixed(1)},${at(each[field]).toFixed(1)}`);
      return `<polyline class="line r${index}" points="${points.join(' ')}"/>`;
    }),
  );
  return [
    `<text class="title" x="${LEFT}" y="${y - 6}">${escaped(title)}</text>`,
    ...shades,
    ...levels.map((level) => levelLine(at(level), level)),
    ...lines,
    ...timeLabels(x, lastedMs, y + PANEL + 14),
  ].join('\n');
}

function levelLine(y: number, level: number): string {
  const text = Number.isInteger(level) ? String(level) : level.toFixed(1);
  return `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}"/><text text-anchor="end" x="${LEFT - 8}" y="${(y + 4).toFixed(1)}">${text}</text>`;
}

/** Times along the axis: minutes and seconds. */
function timeLabels(x: (ms: number) => number, lastedMs: number, y: number): string[] {
  const stepMs = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
    .map((seconds) => seconds * 1000)
    .find((step) => lastedMs / step <= 12);
  const labels: string[] = [];
  for (let ms = 0; ms <= lastedMs; ms += stepMs ?? lastedMs) {
    const text = `${Math.floor(ms / 60_000)}:${String(Math.round(ms / 1000) % 60).padStart(2, '0')}`;
    labels.push(`<text text-anchor="middle" x="${x(ms).toFixed(1)}" y="${y}">${text}</text>`);
  }
  return labels;
}

/** The next number of the form 1, 2 or 5 and zeros. */
function roundedUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((times) => times * unit).find((number) => number >= value) ?? value;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
