import type { Results } from './results.ts';
import { amount, caption, type Entry, type Group, groupsOf, titleOf } from './table.ts';

const WIDTH = 880;
const COLUMNS = 2;
const GAP = 28;
const COLUMN = (WIDTH - GAP * (COLUMNS + 1)) / COLUMNS;
const LABEL = 206;
const VALUE = 52;
const BAR = COLUMN - LABEL - VALUE;
const LINE = 18;
const TITLE = 26;
const AFTER_GROUP = 12;
const TOP = 16;
const CAPTION = 34;
const OURS = 'Countersign';

/** Colours that can be read on light and dark pages; the page's own background shows through. */
const STYLE = `
  text { font: 11px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 12px }
  .value { font-variant-numeric: tabular-nums }
  .caption { font-size: 10px; fill: #59636e }
  .ours { fill: #0969da }
  .peer { fill: #9aa4af }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .caption { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .peer { fill: #6e7681 }
  }`;

/** Draws the results as bars: a group for each work, in two columns, each group on a scale of its own. */
export function peersPicture(results: Results): string {
  const columns = spread(groupsOf(results));
  const height = TOP + Math.max(...columns.map(heightOf)) + CAPTION;
  const drawn = columns.map((groups, index) => column(groups, GAP + index * (COLUMN + GAP)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Countersign and other identity services on the same work">
<style>${STYLE}
</style>
${drawn.join('\n')}
<text class="caption" x="${GAP}" y="${height - 14}">${escaped(caption(results))}</text>
</svg>
`;
}

/** Deals the groups out in their order, so that the columns are about equally high. */
function spread(groups: readonly Group[]): Group[][] {
  const half = heightOf(groups) / COLUMNS;
  const columns: Group[][] = [];
  let above = 0;
  for (const group of groups) {
    const index = Math.min(COLUMNS - 1, Math.floor((above + heightOf([group]) / 2) / half));
    columns[index] = [...(columns[index] ?? []), group];
    above += heightOf([group]);
  }
  return columns;
}

function heightOf(groups: readonly Group[]): number {
  return groups.reduce((sum, { entries }) => sum + TITLE + entries.length * LINE + AFTER_GROUP, 0);
}

function column(groups: readonly Group[], x: number): string {
  let y = TOP;
  const drawn: string[] = [];
  for (const group of groups) {
    drawn.push(`<text class="title" x="${x}" y="${y + 14}">${escaped(titleOf(group))}</text>`);
    const most = Math.max(...group.entries.map(({ value }) => value));
    group.entries.forEach((entry, index) => {
      drawn.push(bar(entry, group, { x, y: y + TITLE + index * LINE, most }));
    });
    y += heightOf([group]);
  }
  return drawn.join('\n');
}

function bar(
  { peer, how, value }: Entry,
  { unit }: Group,
  { x, y, most }: { x: number; y: number; most: number },
): string {
  const length = Math.max(1, (value / most) * BAR);
  const name = how === '' ? peer : `${peer}, ${how}`;
  return [
    `<text x="${x}" y="${y + 10}">${escaped(name)}</text>`,
    `<rect class="${peer === OURS ? 'ours' : 'peer'}" x="${x + LABEL}" y="${y}" width="${length.toFixed(1)}" height="12" rx="2"/>`,
    `<text class="value" x="${(x + LABEL + length + 6).toFixed(1)}" y="${y + 10}">${amount(value, unit)}</text>`,
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
