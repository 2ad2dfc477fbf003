import type { Result } from './measure.ts';
import type { Figure } from './row.ts';
import { median } from './statistics.ts';

/** One figure of one run: a line of `bench/history.tsv`. */
export type Line = {
  date: string;
  commit: string;
  row: string;
  /** `ratio`, or the name of one of the row's figures. */
  figure: string;
  value: number;
  unit: Unit;
  /** The lowest and highest of the rounds; the value itself if there were none. */
  low: number;
  high: number;
  machine: string;
};

/** A ratio is better if it is high, everything else if it is low. */
type Unit = Figure['unit'] | 'ratio';

/** A figure that is worse than before by more than its noise. */
export type Slide = { line: Line; before: number; noise: number };

const HEADINGS = ['date', 'commit', 'row', 'figure', 'value', 'unit', 'low', 'high', 'machine'];
/** How many earlier lines of a figure say what is usual. */
const EARLIER = 5;
/** The least that counts as noise: one run in another hour differs by that. */
const LEAST_NOISE = 0.05;

/** Returns the lines of some results. */
export function linesOf(
  results: readonly Result[],
  run: Pick<Line, 'date' | 'commit' | 'machine'>,
): Line[] {
  return results.flatMap((result): Line[] => {
    if ('figures' in result) {
      return result.figures.map(({ name, value, unit }) => ({
        ...run,
        ...{ row: result.name, figure: name, value, unit, low: value, high: value },
      }));
    }
    const [low, high] = [Math.min(...result.ratios), Math.max(...result.ratios)];
    const { name: row, ratio: value } = result;
    return [{ ...run, row, figure: 'ratio', value, unit: 'ratio', low, high }];
  });
}

/** Returns the text of lines, to be appended to the file. */
export function formatLines(lines: readonly Line[]): string {
  return lines
    .map(({ date, commit, row, figure, value, unit, low, high, machine }) =>
      [date, commit, row, figure, number(value), unit, number(low), number(high), machine].join(
        '\t',
      ),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function number(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** The first line of the file. */
export const HEADING_LINE = `${HEADINGS.join('\t')}\n`;

/** Reads the file. Throws on a line that it cannot read. */
export function parseHistory(text: string): Line[] {
  const [, ...lines] = text.split('\n').filter((line) => line !== '');
  return lines.map((line, index) => {
    const cells = line.split('\t');
    const [date = '', commit = '', row = '', figure = '', value, unit, low, high, machine = ''] =
      cells;
    const numbers = [value, low, high].map(Number);
    const isUnit = UNITS.some((each) => each === unit);
    if (cells.length !== HEADINGS.length || numbers.some(Number.isNaN) || !isUnit) {
      throw new Error(`line ${index + 2} of the history cannot be read: ${line}`);
    }
    const [read = NaN, lowest = NaN, highest = NaN] = numbers;
    const found = { date, commit, row, figure, value: read, unit: unit as Unit, machine };
    return { ...found, low: lowest, high: highest };
  });
}

const UNITS: readonly Unit[] = ['ratio', 'ms', 'MiB', '×'];

/**
 * Returns the newest lines of all figures that are worse than the median of up to five earlier ones by
 * more than noise: more than the rounds and those lines differ among themselves, and than 5 %. Only
 * lines of the same machine are compared.
 */
export function slides(history: readonly Line[]): Slide[] {
  const figures = new Map<string, Line[]>();
  for (const line of history) {
    const key = [line.row, line.figure, line.machine].join('\t');
    figures.set(key, [...(figures.get(key) ?? []), line]);
  }
  return [...figures.values()].flatMap((lines) => slideOf(lines) ?? []);
}

function slideOf(lines: readonly Line[]): Slide | undefined {
  const line = lines.at(-1);
  const earlier = lines.slice(0, -1).slice(-EARLIER);
  if (line === undefined || earlier.length === 0) return undefined;
  const before = median(earlier.map(({ value }) => value));
  const noise = Math.max(
    LEAST_NOISE * before,
    ...earlier.map(({ value }) => Math.abs(value - before)),
    ...[...earlier, line].map(({ low, high }) => (high - low) / 2),
  );
  const worse = line.unit === 'ratio' ? before - line.value : line.value - before;
  return worse > noise ? { line, before, noise } : undefined;
}

/** Says what slid, for people. */
export function slidesText(found: readonly Slide[]): string {
  if (found.length === 0) return 'nothing slid beyond its noise\n';
  return found
    .map(({ line, before, noise }) => {
      const { row, figure, value, unit, commit, date } = line;
      const name = figure === 'ratio' ? row : `${row}, ${figure}`;
      const [now, was, off] = [value, before, noise].map(number);
      const shown = unit === 'ratio' ? '' : ` ${unit}`;
      return `SLID  ${name}: ${now}${shown} at ${commit} (${date}), before ${was}${shown} ± ${off}\n`;
    })
    .join('');
}
