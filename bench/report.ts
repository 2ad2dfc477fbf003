import type { Result } from './measure.ts';

const HEADINGS = ['row', 'ours/s', 'bare/s', 'ratio', 'range', 'target', ''];

/** The results for people, in columns. */
export function table(results: readonly Result[]): string {
  const lines = [HEADINGS, ...results.map(cells)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${text.join('\n')}\n`;
}

function cells({ name, ours, bare, ratio, ratios, target, met }: Result): string[] {
  return [
    name,
    perSecond(ours.perSecond),
    perSecond(bare.perSecond),
    ratio.toFixed(2),
    `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
    `≥ ${target.toFixed(2)}`,
    met ? 'met' : 'missed',
  ];
}

/** A rate in whole numbers. */
export function perSecond(rate: number): string {
  return Math.round(rate).toLocaleString('en-US');
}
