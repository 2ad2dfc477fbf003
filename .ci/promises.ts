import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The page of the promises: each is a row of a table, with its number and its sentence. */
const PAGE = 'docs/promises.md';
const ROW = /^\| ([A-Z]\d\d) \| (.+) \|$/gm;

/** The files that may mention a number. */
const SOURCES = [
  'src/**/*.ts',
  'test/**/*.ts',
  'migrations/*.ts',
  'proto/**/*.proto',
  'docs/**/*.md',
  'README.md',
  'CONTRIBUTING.md',
];
const MENTION = /(?<![\w./-])[A-Z]\d\d(?![\w-])/g;

const TITLE = /\b(?:it|describe|test)(?:\.\w+)?\(\s*(['"`])((?:[A-Z]\d\d[ ,])+[\s\S]*?)\1/g;

type Promised = {
  number: string;
  sentence: string;
  /** The tests whose titles begin with the number, as `file: title`. */
  tests: string[];
};

/** Every promise with the tests that bear it, in the order of the page. */
function promises(root = '.'): Promised[] {
  const tests = testsByNumber(root);
  return [...read(root, PAGE).matchAll(ROW)].map(([, number = '', sentence = '']) => ({
    number,
    sentence,
    tests: tests.get(number) ?? [],
  }));
}

/** Sentences without a test or with a number that is taken, and numbers without a sentence. */
export function promiseProblems(root = '.'): string[] {
  const found: string[] = [];
  const known = new Set<string>();
  for (const { number, tests } of promises(root)) {
    if (known.has(number)) found.push(`${PAGE}: ${number} has two sentences`);
    if (tests.length === 0) found.push(`${PAGE}: no test has a title that begins with ${number}`);
    known.add(number);
  }
  for (const file of files(root, SOURCES)) {
    for (const number of new Set(read(root, file).match(MENTION))) {
      if (!known.has(number)) found.push(`${file}: ${number} has no sentence in ${PAGE}`);
    }
  }
  return found;
}

function testsByNumber(root: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const file of files(root, ['test/**/*.test.ts'])) {
    for (const [, , title = ''] of read(root, file).matchAll(TITLE)) {
      for (const number of /^(?:[A-Z]\d\d[ ,]+)+/.exec(title)?.[0].match(/[A-Z]\d\d/g) ?? []) {
        found.set(number, [...(found.get(number) ?? []), `${file}: ${title}`]);
      }
    }
  }
  return found;
}

function files(root: string, patterns: string[]): string[] {
  return globSync(patterns, { cwd: root, exclude: ['test/gen/**'] }).sort();
}

function read(root: string, file: string): string {
  const path = join(root, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { number, sentence, tests } of promises()) {
    process.stdout.write(
      `${number} ${sentence}\n${tests.map((test) => `    ${test}\n`).join('')}\n`,
    );
  }
  const problems = promiseProblems();
  if (problems.length > 0) {
    process.stderr.write(`${problems.join('\n')}\n`);
    process.exitCode = 1;
  }
}
