import type { FigureResult, RateResult, Result } from './measure.ts';
import type { Figure } from './row.ts';

const RATE_HEADINGS = ['row', 'ours/s', 'bare/s', 'ratio', 'range', 'target', ''];
const FIGURE_HEADINGS = ['row', 'figure', 'value', 'target', ''];

/** Returns the results as a table for people: first the ratios, then the figures. */
export function table(results: readonly Result[]): string {
  const rates = results.filter((result) => 'ratio' in result);
  const figures = results.filter((result) => 'figures' in result);
  return [
    columns(RATE_HEADINGS, rates.map(rateCells)),
    columns(FIGURE_HEADINGS, figures.flatMap(figureCells)),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

function columns(headings: readonly string[], rows: readonly string[][]): string {
  if (rows.length === 0) return '';
  const lines = [headings, ...rows];
  const widths = headings.map((_, column) =>
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

function rateCells({ name, ours, bare, ratio, ratios, target, met }: RateResult): string[] {
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

function figureCells({ name, figures }: FigureResult): string[][] {
  return figures.map((figure) => [
    name,
    figure.name,
    amount(figure.value, figure.unit),
    figure.atMost === undefined ? '' : `≤ ${amount(figure.atMost, figure.unit)}`,
    figure.met === undefined ? '' : figure.met ? 'met' : 'missed',
  ]);
}

function amount(value: number, unit: Figure['unit']): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
}

/** Formats a rate as a whole number. */
export function perSecond(rate: number): string {
  return Math.round(rate).toLocaleString('en-US');
}
