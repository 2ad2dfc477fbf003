import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { formatLines, HEADING_LINE, linesOf, parseHistory, slides, slidesText } from './history.ts';
import type { Result } from './measure.ts';

const PATH = 'bench/history.tsv';

/** Appends results to the history. */
export function record(results: readonly Result[]): void {
  if (!existsSync(PATH)) writeFileSync(PATH, HEADING_LINE);
  const date = new Date().toISOString().slice(0, 10);
  appendFileSync(
    PATH,
    formatLines(linesOf(results, { date, commit: commit(), machine: machine() })),
  );
}

/** Says which of the newest figures are worse than those before, for people. */
export function slidesSoFar(): string {
  return slidesText(slides(existsSync(PATH) ? parseHistory(readFileSync(PATH, 'utf8')) : []));
}

/** The commit that is measured, with a `+` if files differ from it. */
function commit(): string {
  const git = (...args: string[]) => spawnSync('git', args, { encoding: 'utf8' }).stdout.trim();
  const changed = git('status', '--porcelain', '--', 'src', 'gen', 'migrations', 'package.json');
  return `${git('rev-parse', '--short', 'HEAD')}${changed === '' ? '' : '+'}`;
}

/** The cores, so that only runs of one machine are compared. */
export function machine(): string {
  const model = cpus()[0]?.model.replace(/\s+/g, ' ').trim() ?? 'unknown processor';
  return `${availableParallelism()} × ${model}`;
}
