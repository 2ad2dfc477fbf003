import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';

/** What is read: whole documents, and the comments of everything else. */
const DOCUMENTS = [
  '*.md',
  'docs/**/*.md',
  'bench/*.md',
  'deploy/*.md',
  'packages/*/*.md',
  'examples/*/*.md',
];
const SOURCES = [
  '{src,test,bench,migrations,openapi,.ci,scripts}/**/*.ts',
  'packages/*/src/**/*.ts',
  '{proto,test/proto,third_party}/**/*.proto',
];
/** What may be named: every file of ours. */
const FILES = [
  '*',
  '.*',
  '{src,test,bench,migrations,openapi,.ci,proto,third_party,gen,docs,deploy,packages,examples}/**/*',
];

/** Names files on purpose that don't exist. */
const PLANTED = '.ci/planted.ts';

const COMMENT = /\/\*[\s\S]*?\*\/|(?<!:)\/\/.*/g;
const LINK = /\]\(([^)\s#]+)[^)\s]*\)/g;
/** A path from the root: `src/app.ts`, `docs/decisions`. A pattern such as `src/<noun>` is none. */
const ROOTED =
  /(?<![\w./@*<>-])(?:src|test|docs|proto|migrations|openapi|bench|deploy|gen|third_party|packages|examples|\.ci)\/[\w./<>*{}-]*/g;
/** A file named alone, or by the end of its path. */
const QUOTED = /`([\w-][\w./-]*\.(?:ts|proto|md))`/g;

/** Every file that a document or a comment names and that does not exist, a line each. */
export function missingPaths(root: string): string[] {
  const exclude = ['**/node_modules/**'];
  const known = globSync(FILES, { cwd: root, exclude }).map((file) => normalize(file));
  const names = new Set(known.map((file) => basename(file)));
  const found: string[] = [];
  const look = (file: string, text: string) => {
    for (const path of rootedPaths(text)) {
      if (!existsSync(join(root, path))) found.push(`${file}: there is no ${path}`);
    }
    for (const [, name = ''] of text.matchAll(QUOTED)) {
      const exists = name.includes('/')
        ? known.some((each) => `/${each}`.endsWith(`/${name}`))
        : names.has(name);
      if (!exists) found.push(`${file}: there is no ${name}`);
    }
  };
  for (const file of globSync(DOCUMENTS, { cwd: root, exclude }).sort()) {
    const text = readFileSync(join(root, file), 'utf8');
    look(file, text);
    for (const [, link = ''] of text.matchAll(LINK)) {
      if (/^[a-z]+:/.test(link) || existsSync(join(root, dirname(file), link))) continue;
      found.push(`${file}: its link ${link} leads nowhere`);
    }
  }
  for (const file of globSync(SOURCES, { cwd: root, exclude: [...exclude, PLANTED] }).sort()) {
    const comments = readFileSync(join(root, file), 'utf8').match(COMMENT) ?? [];
    look(file, comments.join('\n'));
  }
  return [...new Set(found)];
}

function rootedPaths(text: string): string[] {
  return (text.match(ROOTED) ?? [])
    .filter((path) => !/[<>*{}]/.test(path))
    .map((path) => path.replace(/[.-]+$/, ''));
}
